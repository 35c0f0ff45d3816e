from __future__ import annotations

import pytest

from robolearn.agents.devices.requests import Request, Requests
from robolearn.errors import ArmError


def test_a_stop_that_cannot_stop_an_arm_still_ends_the_loop() -> None:
    def fail() -> None:
        raise ArmError("the process that holds the arm is gone")

    requests = Requests()
    requests.stop_by(fail)
    with pytest.raises(ArmError):
        requests.add(Request.STOP)
    assert requests.take() is Request.STOP
