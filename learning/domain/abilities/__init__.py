"""What people miss an ability for, read from what they say; and the tool that would give it."""

from learning.domain.abilities.reading import Ability, ability_of
from learning.domain.abilities.wishes import Wish, wishes_in

__all__ = ["Ability", "Wish", "ability_of", "wishes_in"]
