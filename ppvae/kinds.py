"""What a name of an estimator is made of: a kind, its numbers, and a gradient behind a plus."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ppvae.estimators.gradients import DoublyReparameterized

__all__ = ["Kind", "Part", "Setting"]


@dataclass(frozen=True)
class Setting:
    """A number in a name.

    Attributes:
        word: what stands for it in ``NAME:WORD``.
        kind: int or float.
        default: where it is left out.
        attribute: where an estimator keeps it; dots lead inside.
    """

    word: str
    kind: type[int] | type[float]
    default: float
    attribute: str

    def of(self, estimator: Any) -> Any:
        """Its value in an estimator; None if it is not there."""
        value = estimator
        for name in self.attribute.split("."):
            value = getattr(value, name, None)
        return value


@dataclass(frozen=True)
class Kind:
    """Estimators of one name, told apart by their settings.

    Attributes:
        made: the class.
        help: a line for the user.
        settings: the numbers behind the name, in order.
        make: from those numbers, and parts by keyword, to the estimator; the class unless given.
        parts: the keywords after a plus sign that it takes: "gradient", "expected", or one's own.
        in_pyro: the class of Pyro's that computes the same bound, and its settings by attribute.
        brief: whether numbers that are all at their default are left out of the name.
    """

    made: type
    help: str
    settings: tuple[Setting, ...] = ()
    make: Callable[..., Any] | None = None
    parts: tuple[str, ...] = ()
    in_pyro: tuple[str, dict[str, str]] | None = None
    brief: bool = False

    def estimator(self, numbers: list[Any], **parts: Any) -> Any:
        """The estimator of these numbers, those left out at their default."""
        left_out = [setting.kind(setting.default) for setting in self.settings[len(numbers) :]]
        return (self.make or self.made)(*numbers, *left_out, **parts)

    def described(self, name: str) -> str:
        """The help, and how the numbers behind the name are written."""
        if not self.settings:
            return self.help
        form = ":".join([name, *(setting.word for setting in self.settings)])
        unless = " and ".join(f"{setting.default:g}" for setting in self.settings)
        return f"{self.help}; {form} ({unless} unless given)"


@dataclass(frozen=True)
class Part:
    """A gradient behind a plus sign.

    Attributes:
        make: the gradient.
        help: a line for the user.
    """

    make: Callable[[], Any]
    help: str

    def is_in(self, estimator: Any) -> bool:
        """Whether this is the gradient that an estimator has."""
        made = self.make()
        if getattr(estimator, "doubly_reparameterized", False):
            return isinstance(made, DoublyReparameterized)
        return repr(made) == repr(getattr(estimator, "gradient", None))
