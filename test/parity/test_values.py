"""What a value may look like: KEDA's words for numbers, durations, booleans and lists, and no others."""

import pytest

from support.clients.keda import Refused, Trigger, fetch_from_server
from support.brokers.prometheus import Prometheus
from support.brokers.redis import Redis
from support.clients.side_by_side import placed

WHOLE = ["4", "0", "-1", "-0", " 4 ", "\t4\n", "04", "+4", "4.0", "4e0", "4e1", "0x4", "4_0", "4 0", "4,0", "four",
         "--4", "-", "9223372036854775807", "9223372036854775808", "-9223372036854775808", "-9223372036854775809", "٤",
         "4\u00a0", "\u00a04", "null", "true", '"4"', "[4]"]

NUMBERS = ["4", "0.5", "4.25", "1e1", "1E1", "1e+1", "1e-1", "1e400", "-1e400", "1e-400", "-0", "-4", " 4 ", "04", "+4",
           ".5", "5.", "1.e1", "1,5", "0x4", "0x1p3", "4_0", "NaN", "Inf", "-Inf", "Infinity", "four", "4%", "4k",
           "123456789012345678", "0.1234567", "null", "true", '"4"', "4 4"]

BOOLEANS = ["1", "t", "T", "TRUE", "true", "True", " true ", "0", "f", "F", "FALSE", "false", "False", "tRUE", "yes",
            "no", "on", "off", "y", "n", "01", "-1", "enable", "null", '"true"']

DURATIONS = ["30s", "1m30s", "3000ms", "4.5s", ".5m", "4.s", "4000", " 4s ", "0", "0s", "-0s", "1h", "4000000us",
             "4000000µs", "4000000μs", "4000000000ns", "+4s", "-1s", "-1", "0.5", "1e3", "10d", "1w", "s", "1 s",
             "1s 2s", "4S", "4s500", "87600h", "9223372036854775808", "null", "two"]

MAPS = ["a=b", "a=b,c=d", " a = b , c = d ", "a=", "a", "a,b=c", "a=b=c", "a=b,", ",a=b", "a=b,,c=d", "a=b;c=d",
        "a b=c d", "a=b,a=c"]

LISTS = ["$address", " $address ", "$address,", ",$address", "$address,$address", "$address , $address", ",", " , "]


def redis(**keys):
    return Trigger("redis", {"address": "$address", "listName": "list", **keys})


def prometheus(**keys):
    return Trigger("prometheus", {"serverAddress": "$prometheus", "query": "vector(4)", "threshold": "5", **keys})


def texts(texts):
    return pytest.mark.parametrize("text", [pytest.param(text, id=ascii(text)) for text in texts])


@pytest.fixture(scope="module")
def places():
    with Redis() as broker, Prometheus("jobs 4") as other:
        with broker.connect() as client:
            client.call("RPUSH", "list", *range(4))
        yield {"address": broker.address, "prometheus": other.url()}


@pytest.fixture
def agree(keda, client, places):
    """Both refuse, or both answer the same."""

    def agree(trigger):
        trigger = placed(trigger, places)
        theirs, ours = keda.fetch(trigger), fetch_from_server(client, trigger)
        assert theirs == ours or (isinstance(theirs, Refused) and isinstance(ours, Refused)), (theirs, ours)

    return agree


@texts(WHOLE)
def test_whole_numbers(text, agree):
    agree(redis(activationListLength=text))


@texts(NUMBERS)
def test_numbers(text, agree):
    agree(prometheus(activationThreshold=text))


@texts(["0.001", "0.0015", "2.5", "1e1", "1234567.125"])
def test_targets(text, agree):
    agree(prometheus(threshold=text))


@texts(BOOLEANS)
def test_booleans(text, agree):
    agree(prometheus(query="nothing", ignoreNullValues=text))


@texts(DURATIONS)
def test_durations(text, agree):
    agree(prometheus(timeout=text))


@texts(MAPS)
def test_maps(text, agree):
    agree(prometheus(queryParameters=text))


@texts(LISTS)
def test_lists(text, agree):
    agree(redis(address=text))
