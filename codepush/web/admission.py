"""An upload is received when a view wants it, and no thread waits for it.

A server that receives bodies itself runs the app before a large one is there, with an
``Admission`` in the WSGI environment. Most requests are answered by that: without a token, to an
address that there is not, over a quota or a limit. A view that wants the upload ends the run by
``BodyWanted``, and is run again when all of it is there. Under any other WSGI server there is no
admission, and views read what the server passes on.
"""

from collections.abc import Callable

from flask import request

KEY = "codepush.admission"
"""Of the admission in the WSGI environment."""


class BodyWanted(BaseException):
    """Ends a run of the app that wants the body first; nothing in between handles it."""


class Admission:
    """What a server and the app tell each other of a body that was not received yet.

    Attributes:
        is_granted: Whether the app wants it.
        most_bytes: How large it may be; of a larger one, that much and a byte is enough.
        headers: What the first run has to say on the answer that the second gives.
    """

    def __init__(self, take_room: Callable[[str], bool]):
        """``take_room`` is told who sends it, and tells whether there is room for it."""
        self.take_room = take_room
        self.is_granted = False
        self.most_bytes = 0
        self.headers: dict[str, str] = {}


def admission() -> Admission | None:
    """Return the admission of this request; None where the server waits for no word of ours."""
    found: Admission | None = request.environ.get(KEY)
    return found


def granted_admission() -> Admission | None:
    """Return the admission of this request, if this is the second run, with the body."""
    found = admission()
    return found if found is not None and found.is_granted else None
