# SPDX-License-Identifier: MIT
"""For programs that were written for another client's names.

    import powermeasure.compat
    powermeasure.compat.provide_ctevents()

    from ctevents.ctevents import send_power_measure_fb_event

This distribution has no top-level `ctevents`: that name belongs to the camera-traps application,
whose package has far more in it, and installing two packages of one name leaves a mixture of both.
So ours lies here, out of the way, and is found only by who asks for it, and only where there is no
other.
"""

import os
import sys

#: The directory that holds `ctevents`; for PYTHONPATH where a program cannot be changed at all and
#: there is no real one, which it would hide.
PATH = os.path.dirname(os.path.abspath(__file__))


def provide_ctevents() -> None:
    """Makes `import ctevents.ctevents` work. A real `ctevents` goes before this one, since this one
    is looked for last."""
    if PATH not in sys.path:
        sys.path.append(PATH)
