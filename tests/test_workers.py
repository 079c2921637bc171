"""Jobs come back in order, from processes or without them; what goes wrong in one ends the whole."""

import os

import pytest
from odd_jobs import one

from copycat_jax.errors import UserError
from copycat_jax.workers import spread


def test_processes_do_the_work_in_order_and_hear_of_no_interrupt():
    done = list(spread(one, [1, "interrupt", 3], 2))
    assert [job for job, _ in done] == [1, "interrupt", 3] and os.getpid() not in {pid for _, pid in done}


@pytest.mark.parametrize("workers", [1, 2])
def test_what_a_job_raises_ends_the_whole(workers):
    with pytest.raises(UserError, match="cannot be written"):
        list(spread(one, ["refuse", 2], workers))


def test_a_dead_worker_is_a_users_error():
    with pytest.raises(UserError, match="a worker process died"):
        list(spread(one, ["die", 2], 2))


@pytest.mark.parametrize("error", [FileNotFoundError(2, "No such file"), PermissionError(13, "x"), ImportError("sem")])
def test_without_semaphores_the_work_is_done_here(error, monkeypatch, capsys):
    def refuse(*_, **__):
        raise error

    monkeypatch.setattr("concurrent.futures.ProcessPoolExecutor", refuse)
    assert list(spread(one, [1, 2], 2)) == [(1, os.getpid()), (2, os.getpid())]
    assert capsys.readouterr().err.count("\n") == 1
