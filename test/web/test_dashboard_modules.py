"""Modules of the dashboard alone: in Node, and in a browser where they need one."""

import json

from support.pages.modules import run_in_node


def test_actual_replicas_are_unknown_where_nobody_looked():
    """While the page was in the background, or the computer asleep, no sample was taken."""
    seen = run_in_node("""
        const { stepsAt } = await import('./trigger/trigger_history.js');
        const samples = [[100, 3], [103, 3], [1303, 40], [1306, null], [1309, 38]];
        return stepsAt([90, 100, 110, 133, 134, 1300, 1303, 1307, 1310, 1340], samples, 30);
    """)
    assert seen == [None, 3, 3, 3, None, None, 40, None, 38, None]


def test_decisions_of_policies_are_of_the_last_reading_while_measuring_fails():
    keys = run_in_node("""
        const { decisionsOf } = await import('./trigger/trigger_state.js');
        const policy = { boundBy: 'threshold' };
        return ['answered', 'held', 'refused'].map((state) => decisionsOf({ now: { state }, policy }));
    """)
    last = ", when measured last"
    assert keys == [[[f"Bound by{when}", "threshold"]] for when in ("", last, last)]


def test_a_poll_asks_for_one_thing_at_a_time_while_somebody_sees_it(browser, idle_server):
    browser.open(idle_server)
    browser.wait_for_text("No triggers yet")
    browser.evaluate("""(async () => {
        const { poll } = await import('/assets/state/poll.js');
        window.asked = [];  // how each ends
        const load = (signal) => new Promise((end, fail) => asked.push({ end, fail, signal }));
        window.made = poll({ what: 'Orders', load, everyMs: 100, failed: () => (window.failures = (window.failures ?? 0) + 1) });
        window.seen = () => [asked.length, made.message.hidden ? '' : made.message.textContent.replace(/[0-9:]{8}/, 'then')];
        window.rest = (milliseconds = 400) => new Promise((resolve) => setTimeout(resolve, milliseconds));
        made.start();
        await rest();
    })()""")
    assert browser.evaluate("seen()") == [1, ""]  # though the next one is due
    assert browser.evaluate("asked.at(-1).fail(new Error('none yet')), rest().then(seen)") == [2, "Orders: none yet"]
    assert browser.evaluate("asked.at(-1).end(false), rest().then(seen)") == [3, "Orders: none yet"]  # nothing new
    assert browser.evaluate("asked.at(-1).end(), rest().then(seen)") == [4, ""]
    assert browser.evaluate("asked.at(-1).fail(new Error('busy')), rest().then(seen)") == [5, "Orders, not renewed since then: busy"]
    browser.hide()
    assert browser.evaluate("asked.at(-1).end(), rest().then(seen)") == [5, ""]
    browser.hide(False)
    assert browser.evaluate("rest(50).then(seen)") == [6, ""]  # at once
    assert browser.evaluate("made.message.role ?? made.message.getAttribute('role')") == "alert"
    assert browser.evaluate("[failures, asked.at(-1).signal.aborted, made.close(), asked.at(-1).signal.aborted]") == [2, False, None, True]
    assert browser.evaluate("asked.at(-1).fail(new Error('ended')), rest().then(seen)") == [6, ""]


def test_a_poll_is_sooner_where_something_has_changed(browser, idle_server):
    browser.open(idle_server)
    browser.wait_for_text("No triggers yet")
    counts = browser.evaluate("""(async () => {
        const { poll } = await import('/assets/state/poll.js');
        const rest = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));
        let count = 0;
        const made = poll({ what: 'Orders', load: async () => { count++; }, everyMs: 60000, soonMs: 500 });
        const counts = [];
        const note = async (milliseconds) => { await rest(milliseconds); counts.push(count); };
        made.start();
        await note(200);
        made.hurry();
        await note(100);
        made.hurry();  // which puts nothing off
        await note(400);
        await note(600);
        made.close();
        made.hurry();
        await note(600);
        return counts;
    })()""")
    assert counts == [1, 1, 2, 2, 2]


def test_an_outage_ends_with_a_good_measurement_or_goes_on():
    outages = run_in_node("""
        const { outagesOf } = await import('./trigger/trigger_history.js');
        const now = Date.now() / 1000;
        const data = { times: [now - 200, now - 100], state: ['answered', 'failed'] };
        const over = { times: [now - 200, now - 190, now - 180, now - 100], state: ['answered', 'failed', 'failed', 'answered'] };
        return [[data, 'held'], [data, 'refused'], [data, undefined], [over, 'answered']].map(([data, state]) =>
          outagesOf(data, state).map(({ from, to }) => [Math.round(from - now), Math.round(to - now)]));
    """)
    assert outages == [[[-100, 0]], [[-100, 0]], [[-100, -100]], [[-190, -100]]]


def test_what_is_held_is_wanted_since_measuring_failed():
    assert run_in_node("""
        const { withHeld } = await import('./trigger/trigger_history.js');
        const columns = { replicas: [3, null, 4, null, null], state: ['answered', 'failed', 'answered', 'failed', 'failed'] };
        return [{ state: 'held', replicas: 5 }, { state: 'refused' }].map((now) => withHeld(columns, now).replicas);
    """) == [[3, None, 4, 5, 5], [3, None, 4, None, None]]


def test_waiting_does_not_fall_where_partitions_go_away():
    """As of a topic that is deleted. The server derives no arrivals from these two readings."""
    seen = run_in_node("""
        const { columnsOf } = await import('./trigger/trigger_history.js');
        const columns = ['time', 'waiting', 'arrivals', 'arrivalRate', 'consumptionRate'];
        const of = (...rates) => columnsOf({ columns, rows: [
          [0, 500, 0, ...rates], [5, 490, null, ...rates], [10, 40, 2, ...rates], [15, 50, null, ...rates],
        ] });
        return [[null, null], [3, null], [3, 4]].map((rates) => of(...rates)).map(({ consumption, isFall, isGrowth }) => [consumption, isFall, isGrowth]);
    """)
    falls = [2, None, 0, None]
    assert seen == [[falls, True, True], [falls, True, False], [[4] * 4, False, False]]


def test_the_changes_of_a_trigger_go_on_after_a_measurement_that_failed():
    """It has no value."""
    changes = run_in_node("""
        const { changesOf } = await import('./trigger/trigger_history.js');
        return changesOf({
          times: [0, 1, 2, 3, 4],
          state: ['answered', 'failed', 'answered', 'failed', 'answered'],
          active: [true, null, true, null, false],
          replicas: [3, null, 8, null, 0],
        });
    """)
    assert changes[::-1] == [
        [1, "measuring failed"],
        [2, "measured again, 3 → 8 replicas"],
        [3, "measuring failed"],
        [4, "measured again, became inactive, 8 → 0 replicas"],
    ]


def test_a_group_is_folded_alone_whatever_its_namespace_is_called():
    """Names come with calls. One that was called "*" folded every group, and "!" those that fail."""
    namespaces = ["shop", "team-a", "*", "!", "-", "-shop", "-*", "a,b", "", "%", "%2C", "%-shop", "Größe"]
    seen = run_in_node(f"""
        const {{ groupsOf, makeFolds }} = await import('./trigger/trigger_groups.js');
        const namespaces = {json.dumps(namespaces)};
        const rows = [...namespaces, 'failing'].map((namespace, id) =>
          ({{ id, namespace, state: namespace === 'failing' ? 'refused' : 'answered' }}));
        const groups = (folds) => groupsOf(rows, {{ hasFailingFirst: true, isFolded: folds.isFolded }});
        const titles = (folds, isFolded) => groups(folds).filter((group) => group.isFolded === isFolded).map(({{ title }}) => title);
        const reloaded = (folds) => makeFolds(new URLSearchParams({{ folded: folds.text() }}).get('folded'));
        const seen = groups(makeFolds('')).map(({{ key, title }}) => {{
            const [folded, unfolded] = [makeFolds(''), makeFolds('')];
            folded.fold(key);
            unfolded.foldAll();
            unfolded.fold(key);
            return [title, titles(folded, true), titles(reloaded(folded), true), titles(unfolded, false), titles(reloaded(unfolded), false)];
        }});
        return [seen, new Set(groups(makeFolds('')).map(({{ key }}) => key)).size, makeFolds('media,-shop').text()];
    """)
    groups, keys, text = seen
    failing = "Failing and held"
    assert sorted(title for title, *_ in groups) == sorted([failing, *namespaces]) and keys == len(groups)
    for title, *folded, unfolded, unfolded_again in groups:
        assert folded == [[title], [title]]
        # Those that fail are not folded with all others.
        assert unfolded == unfolded_again == ([] if title == failing else [failing, title]), title
    assert text == "-shop,media"  # as in links from before


CLOCKS = """
    const { clockOffset, forgetClock, takeClock } = await import('./state/clock.js');
    let now = 1790000000;
    let passed = 0;
    Date.now = () => now * 1000;
    performance.now = () => passed * 1000;
    const wait = (seconds) => { now += seconds; passed += seconds; };
    const seen = [];
    const take = (sent) => { takeClock(sent); seen.push(Math.round(clockOffset() * 10) / 10); };
"""


def test_the_clock_is_by_what_was_under_way_for_the_shortest_time():
    assert run_in_node(CLOCKS + """
        take(now + 100 - 2);  // of a server that is 100 s ahead, sent 2 s ago
        wait(10);
        take(now + 100 - 9);
        wait(1);
        take(now + 100);
        wait(3600);
        take(now + 100 - 20);  // two clocks may have drifted apart meanwhile, by 0.36 s
        return seen;
    """) == [98, 98, 100, 99.6]


def test_the_clock_counts_anew_where_one_was_set_or_the_server_is_another():
    assert run_in_node(CLOCKS + """
        take(now + 100);
        wait(1);
        now += 15;  // ours is set forward
        take(now + 85);
        wait(1);
        take(now - 600);  // the server's is set back
        wait(200);
        take(now - 700);  // this one was long under way
        forgetClock();
        take(now - 700);  // of another pod, whose clock is behind
        return seen;
    """) == [100, 85, -600, -600, -700]


def test_a_response_of_another_pod_is_refused():
    words = run_in_node("""
        const { checkInstance, takeInstance } = await import('./state/instance.js');
        const tried = [];
        const check = (instance, status = 200) => {
            const headers = instance === null ? {} : { 'Backlog-Instance': instance };
            try {
                checkInstance(new Response('', { status, headers }));
                tried.push('');
            } catch (error) {
                tried.push(error.message.split(/[,:]/)[0]);
            }
        };
        check('a');  // before the stream: the first decides
        check('b');
        check('b', 404);
        try {
            checkInstance(new Response('', { headers: { 'Backlog-Instance': 'b' } }));
        } catch (error) {
            tried.push(error.message.includes('no events come') && error.message.endsWith('load the page again'));
        }
        tried.push(takeInstance('a'));
        check('a');
        check('b');
        check('b', 404);  // also what it refuses
        check(null);
        check(null, 502);  // of a proxy, which has words of its own
        tried.push(takeInstance('b'));
        check('a');
        check('b');
        tried.push(takeInstance());  // of a version that does not say it
        check(null);
        check('b');
        return tried;
    """)
    other, unsaid = "another pod of Backlog answered", "the response does not say of which pod it is"
    assert words == ["", other, other, True, False, "", other, other, unsaid, "", True, other, "", True, "", other]


def test_a_time_of_another_day_has_its_day():
    assert run_in_node("""
        process.env.TZ = 'UTC';
        const { moment } = await import('./base/format.js');
        const now = Date.UTC(2026, 10, 27, 0, 0, 30) / 1000;
        return [now - 10, now - 40, now - 3 * 86400].map((time) => moment(time, now));
    """) == ["00:00:20", "26 Nov, 23:59:50", "24 Nov, 00:00:30"]


def test_no_bytes_have_no_decimals_and_few_are_not_0():
    assert run_in_node("""
        const { bytes } = await import('./base/format.js');
        return [0, 1, 104858, 1048576, 52428800, 1610612736].map(bytes);
    """) == ["0 MiB", "< 0.1 MiB", "0.1 MiB", "1.0 MiB", "50 MiB", "1.50 GiB"]
