"""What a stream lets out: text that was looked at, a little behind what the model says."""

from __future__ import annotations

from collections.abc import Callable

from agents.guarding import Guard

# The longest identifier with its separators; less than this is never let out unseen.
HOLD_BACK_CHARACTERS = 64
# Looking at a few words at a time is dear; a reader does not see the difference.
PIECE_CHARACTERS = 96


class Gate:
    """Takes a model's text as it comes and emits it once nothing in it must stay.

    ``whole``: only at its end, for an answer that is asked for again if it breaks its schema.
    """

    def __init__(self, emit: Callable[[str], None], guard: Guard, *, whole: bool = False) -> None:
        self._emit, self._guard, self._whole = emit, guard, whole
        self._waiting = ""
        self._said = ""
        self._mark = ("", "")

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
        return True

    def feed(self, text: str) -> None:
        """Take more text; raises GuardrailBlocked if it may not go on."""
        self._waiting += text
        end = len(self._waiting) - HOLD_BACK_CHARACTERS
        if self._whole or end < PIECE_CHARACTERS:
            return
        cut = max(self._waiting.rfind(" ", 0, end), self._waiting.rfind("\n", 0, end)) + 1
        if cut > 0:
            self._release(self._waiting[:cut])
            self._waiting = self._waiting[cut:]

    def finish(self) -> None:
        """Let out the rest."""
        rest, self._waiting = self._waiting, ""
        if rest:
            self._release(rest)

    def _release(self, piece: str) -> None:
        self._emit(self._guard.released(piece, before=self._said[-HOLD_BACK_CHARACTERS:]))
        self._said += piece
