"""What a learner asks of a model."""

from __future__ import annotations

from abc import ABC, abstractmethod

from torch import Tensor, nn

from perdure._records import Output


class Model(nn.Module, ABC):
    """A module whose ``forward`` returns an ``Output`` and whose classes are admitted one by one."""

    @property
    @abstractmethod
    def capacity(self) -> int:
        """How many classes the head has rows for."""

    @abstractmethod
    def forward(self, x: Tensor) -> Output:
        """``x`` (B, ...) to logits (B, capacity) and features (B, D)."""

    @abstractmethod
    def admit(self, label: int, seed: int) -> None:
        """Initialise the row of class ``label``; called once, before the class is first learnt."""

    @abstractmethod
    def grow(self, capacity: int) -> dict[nn.Parameter, nn.Parameter]:
        """Make room for ``capacity`` classes; returns each parameter that was replaced with its replacement."""

    def shrink(self, capacity: int) -> dict[nn.Parameter, nn.Parameter]:
        """Counterpart of ``grow``, for going back to an earlier state; a head need not be able to."""
        raise ValueError(f"the head has {self.capacity} rows and the state {capacity}: load it into a new learner")

    def require(self, label: int) -> None:
        """Raise ``ValueError`` if class ``label`` can never be admitted; a head that grows takes any."""

    def probe(self, x: Tensor) -> None:
        """Look at one example before anything else happens; called in eval mode, without gradients."""


class Network(Model):
    """A backbone and a head: ``head(backbone(x))``. The backbone returns features (B, D)."""

    def __init__(self, backbone: nn.Module, head: Head) -> None:
        super().__init__()
        self.backbone = backbone
        self.head = head

    @property
    def capacity(self) -> int:
        """How many classes the head has rows for."""
        return self.head.capacity

    def forward(self, x: Tensor) -> Output:
        """Logits and the features they were computed from."""
        features = self.backbone(x)
        return Output(self.head(features), features)

    def admit(self, label: int, seed: int) -> None:
        """Initialise the head's row."""
        self.head.admit(label, seed)

    def grow(self, capacity: int) -> dict[nn.Parameter, nn.Parameter]:
        """Grow the head."""
        return self.head.grow(capacity)

    def shrink(self, capacity: int) -> dict[nn.Parameter, nn.Parameter]:
        """Shrink the head, if it can."""
        return self.head.shrink(capacity)


class Head(nn.Module, ABC):
    """Features (B, D) to logits (B, capacity)."""

    capacity: int

    @abstractmethod
    def forward(self, features: Tensor) -> Tensor:
        """Logits."""

    @abstractmethod
    def admit(self, label: int, seed: int) -> None:
        """Initialise the row of class ``label``."""

    @abstractmethod
    def grow(self, capacity: int) -> dict[nn.Parameter, nn.Parameter]:
        """Make room for ``capacity`` classes."""

    def shrink(self, capacity: int) -> dict[nn.Parameter, nn.Parameter]:
        """Counterpart of ``grow``, for going back to an earlier state; a head need not be able to."""
        raise ValueError(f"the head has {self.capacity} rows and the state {capacity}: load it into a new learner")


class Whole(Model):
    """A module that already returns logits (B, C). It learns up to C classes and cannot grow.

    ``features`` names a submodule whose output, flattened, becomes ``Output.features``.
    """

    def __init__(self, module: nn.Module, features: str | None = None) -> None:
        super().__init__()
        self.module = module
        self._width = 0
        self._captured: Tensor | None = None
        if features is not None:
            find(module, features).register_forward_hook(self._capture)

    @property
    def capacity(self) -> int:
        """How many logits the module returns."""
        return self._width

    def forward(self, x: Tensor) -> Output:
        """The module's logits, and the features if a submodule was named."""
        logits = self.module(x)
        features, self._captured = self._captured, None
        return Output(logits, features)

    def admit(self, label: int, seed: int) -> None:
        """Nothing to do: the rows are the module's own."""

    def grow(self, capacity: int) -> dict[nn.Parameter, nn.Parameter]:
        """Refuses: the rows are the module's own."""
        raise ValueError(f"a module that returns {self._width} logits cannot grow to {capacity} classes")

    def require(self, label: int) -> None:
        """Refuse classes beyond the module's logits."""
        if label >= self._width:
            raise ValueError(
                f"class {label} came, but the model returns {self._width} logits: build it with more, "
                'or let its last layer grow with perdure.nn.split(model, head="NAME OF THE LAYER")'
            )

    def probe(self, x: Tensor) -> None:
        """Find out how many logits the module returns."""
        logits = self.module(x)
        self._captured = None
        if not isinstance(logits, Tensor) or logits.dim() != 2:
            found = tuple(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__
            raise ValueError(f"the model returned {found} for one example; it must return logits of shape (1, classes)")
        self._width = logits.shape[1]

    def _capture(self, module: nn.Module, args: object, output: Tensor) -> None:
        self._captured = output.flatten(1)


def find(model: nn.Module, name: str) -> nn.Module:
    """The submodule called ``name``; a ``ValueError`` with the nearest names if there is none."""
    from difflib import get_close_matches

    modules = dict(model.named_modules())
    if name in modules and name:
        return model.get_submodule(name)
    names = [n for n in modules if n]
    near = get_close_matches(name, names, n=3, cutoff=0.3) or names[-3:]
    raise ValueError(f"the model has no submodule {name!r}; did you mean {' or '.join(map(repr, near))}?")
