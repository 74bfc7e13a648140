"""What a stream lets out: text that was looked at, a little behind what the model says."""

from __future__ import annotations

from collections.abc import Callable

from agents.guarding import Guard

# The longest identifier with its separators; less than this is never let out unseen.
HOLD_BACK_CHARACTERS = 64
# Looking at a few words at a time is dear; a reader does not see the difference.
PIECE_CHARACTERS = 96
# What was said and is looked at again: the label before a number may be out already.
SAID_CHARACTERS = 128


class Gate:
    """Takes a model's text as it comes and emits it once nothing in it must stay.

    ``whole``: only at its end, for an answer that is asked for again if it breaks its schema.
    """

    def __init__(self, emit: Callable[[str], None], guard: Guard, *, whole: bool = False) -> None:
        self._emit, self._guard, self._whole = emit, guard, whole
        self._waiting = ""
        self._said = ""
        self._mark = ("", "")
        self._enough = HOLD_BACK_CHARACTERS + PIECE_CHARACTERS

    def mark(self) -> None:
        """A reply begins here; ``restart`` goes back to this. What a model said before it called a
        tool is no part of an answer that is let out whole."""
        if self._whole:
            self._waiting = ""
        self._mark = (self._waiting, self._said)

    def restart(self) -> bool:
        """Forget the reply that broke; False if some of it is out."""
        waiting, said = self._mark
        if said != self._said:
            return False
        self._waiting = waiting
        self._enough = HOLD_BACK_CHARACTERS + PIECE_CHARACTERS
        return True

    def feed(self, text: str) -> None:
        """Take more text; raises GuardrailBlocked if it may not go on."""
        self._waiting += text
        if not self._whole and len(self._waiting) >= self._enough:
            self._release(HOLD_BACK_CHARACTERS)
            waiting = max(HOLD_BACK_CHARACTERS, len(self._waiting))
            # What has no place to part is looked at again as a whole: more rarely as it grows.
            self._enough = waiting + max(PIECE_CHARACTERS, len(self._waiting) // 2)

    def finish(self) -> None:
        """Let out the rest."""
        if self._waiting:
            self._release(0)

    def _release(self, keep: int) -> None:
        before = self._said[-SAID_CHARACTERS:]
        if len(self._said) > SAID_CHARACTERS:  # half a word would read as another
            before = before[before.find(" ") + 1 :]
        shown, length = self._guard.released(self._waiting, before=before, keep=keep)
        if length:
            self._emit(shown)
        self._said += self._waiting[:length]
        self._waiting = self._waiting[length:]
