"""Faults that examples play alike.

A system has `play`; `links`, through which its workers and Backlog reach the broker; at_work(), which publishes jobs, and returns when
workers are busy with them; and finish(what, is_faulty), which waits for their end and for zero replicas, and compares what was
published and done.
"""

import time

from . import faults

AWAY_SECONDS = 60
SLOWER_SECONDS = 0.5
STOLEN = 0.6  # of the workers' CPU time


def in_one_load(names, kills):
    """Each part's name, and which of its faults are wanted: those of `kills` happen in one load, where the first of them is named."""
    wanted = [name for name in names if name in kills]
    for name in names:
        if name not in kills:
            yield name, ()
        elif name == wanted[0]:
            yield name, ([kill for kill in kills if kill in wanted],)


def slow(system, seconds=SLOWER_SECONDS):
    system.play.chapter(f"{1000 * seconds:.0f} ms more per round trip between the broker and its clients, workers and Backlog")
    with faults.slow(system.links, seconds):
        system.at_work()
        system.finish("slow network")


def cpu(system):
    system.play.chapter(f"{100 * STOLEN:.0f} % of the workers' CPU time is stolen")
    with faults.stolen_cpu(system.play.control.workers, STOLEN):
        system.at_work()
        system.finish("CPU stolen")


def stays(system, fault, what, seconds=AWAY_SECONDS, meanwhile=lambda: None):
    """While the fault lasts, so many seconds of production, meanwhile() is called, and no worker is removed."""
    play, began = system.play, system.at_work()
    with fault:
        play.event(what)
        meanwhile()
        play.follow(max(4, play.shorter(seconds)))
        play.check(play.removed(began) == 0, f"{what}, for {(time.time() - began) * play.speed:.0f} s; no worker removed")
    play.event("it is over")
