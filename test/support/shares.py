"""How pytest-xdist shares the files of a part out to its workers: the longest first, so that none of them is begun last, and
those in pieces whose tests start what they need themselves."""

from xdist.scheduler import LoadFileScheduling


class Shares(LoadFileScheduling):
    """A file is for one worker, and so are it and its value in `beside`. Of a file in `pieces` the tests with the same parameter are,
    or one test without any."""

    def __init__(self, config, log, pieces, beside=None):
        config.option.loadscopereorder = False  # they are in the order of `longest_first`
        super().__init__(config, log)
        self.pieces, self.beside = pieces, beside or {}

    def _split_scope(self, nodeid):
        file, _, test = nodeid.partition("::")
        if file.rpartition("/")[2] not in self.pieces:
            folder, slash, name = file.rpartition("/")
            return folder + slash + self.beside.get(name, name)
        name, bracket, parameter = test.partition("[")
        return f"{file}::{bracket + parameter or name}"


def longest_first(items, files):
    """Sorts the tests: those of `files` in this order, then the others."""
    places = {file: place for place, file in enumerate(files)}
    items.sort(key=lambda item: places.get(item.path.name, len(places)))
