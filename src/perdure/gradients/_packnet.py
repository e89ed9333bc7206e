"""PackNet: each task gets weights of its own, and they stay."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.optim import Optimizer

from perdure._part import Part
from perdure._random import addressed_default, generator
from perdure._records import Batch, Boundary
from perdure.functional.masking import cross_entropy
from perdure.functional.pruning import smallest
from perdure.functional.shapes import padded


class PackNet(Part):
    """When a task ends, the smallest of the weights that it could change are set free, layer by layer, and the others
    are trained a while longer and then kept for good (Mallya and Lazebnik 2018, section 3).

    ``share`` of the free weights of each layer are freed again after the first task, ``later_share`` of them after
    each later one; a layer is a parameter of more than one dimension outside ``head``. ``epochs`` over the task's data
    follow, in batches of ``batch_size``, with an optimizer made anew by ``optimizer`` whose learning rate is multiplied
    by ``rate_factor``. All other parameters of the backbone stay as the first task leaves them, and rows of the head as
    the task of their class does. Task t is answered with the weights of the tasks up to t alone.
    """

    tasks: Tensor
    """(T,) int64: the tasks learnt, in the order of learning; owners of weights count from 1, and 0 is free."""
    lengthening = ("tasks",)
    keeps = (("", "weights"),)
    needs_boundaries = True
    needs_data = True
    needs_tasks = True

    def __init__(
        self,
        head: nn.Module,
        optimizer: Callable[[Iterable[nn.Parameter]], Optimizer],
        share: float = 0.5,
        later_share: float = 0.75,
        *,
        epochs: int = 10,
        batch_size: int = 32,
        rate_factor: float = 0.1,
        name: str | None = None,
    ) -> None:
        super().__init__(name)
        for option, value in (("share", share), ("later_share", later_share)):
            if not 0 <= value < 1:
                raise ValueError(f"{option}={value}: give the part of free weights to free again, from 0 to below 1")
        if epochs < 0 or batch_size < 2 or not rate_factor > 0:
            raise ValueError(
                f"epochs={epochs}, batch_size={batch_size}, rate_factor={rate_factor}: retrain for 0 epochs or more, "
                "in batches of 2 or more, at a positive rate"
            )
        if isinstance(optimizer, Optimizer):
            raise ValueError(
                "PackNet retrains with an optimizer of its own: give a function that makes one, such as "
                "lambda params: torch.optim.SGD(params, lr=0.1)"
            )
        self.share, self.later_share = share, later_share
        self.epochs, self.batch_size, self.rate_factor = epochs, batch_size, rate_factor
        self._make = optimizer
        self._head = (head,)  # in a tuple, so that it is no submodule: its state is the model's
        self._names: tuple[str, ...] = ()
        self._of_head: tuple[bool, ...] = ()
        self._dims: tuple[int, ...] = ()
        self._checked = False

    def bind(self, params: Mapping[str, Tensor], example: Batch, num_classes: int) -> None:
        """Every weight is free."""
        self._look(params)
        if not self._layers():
            raise ValueError("PackNet shares out the weights of layers before the head, and the model has none")
        device = example.y.device
        self.register_buffer("tasks", torch.zeros(0, dtype=torch.int64, device=device))
        for number, p in enumerate(params.values()):
            self.register_buffer(f"owner_{number}", torch.zeros_like(p, dtype=torch.int16))
            self.register_buffer(f"kept_{number}", torch.zeros_like(p.detach()))

    def grow(self, params: Mapping[str, Tensor], num_classes: int) -> None:
        """Rows of the head that are new are free."""
        self._look(params)
        for number, p in enumerate(params.values()):
            for name in (f"owner_{number}", f"kept_{number}"):
                self.register_buffer(name, padded(self.get_buffer(name), p.shape))

    def withhold(self, batch: Batch) -> Tensor | None:
        """Nothing; but before a task is learnt, raise if it cannot be."""
        if len(self.tasks) and not self._checked and batch.task is not None:
            self._check(int(batch.task[0]))
        self._checked = True
        return None

    def transform(self, grads: Sequence[Tensor], reference: Sequence[Tensor] | None) -> None:
        """Zero where weights are kept."""
        if len(self.tasks):
            for grad, owner in zip(grads, self._owners(), strict=True):
                grad.masked_fill_(owner > 0, 0)

    def constrain(self, params: Sequence[Tensor]) -> None:
        """Put kept weights back, wherever momentum or weight decay has moved them."""
        if len(self.tasks):
            for p, owner, kept in zip(params, self._owners(), self._kept(), strict=True):
                p.copy_(torch.where(owner > 0, kept, p))

    def consolidate(self, boundary: Boundary) -> int:
        """Prune, retrain, keep."""
        assert boundary.experience.task is not None
        params = list(boundary.params.values())
        owner = len(self.tasks) + 1
        self._prune(params, owner, boundary.classes)
        count = self._retrain(boundary, owner)
        for p, kept in zip(params, self._kept(), strict=True):
            kept.copy_(p)
        self.register_buffer("tasks", torch.cat([self.tasks, self.tasks.new_tensor([boundary.experience.task])]))
        self._checked = False
        return count

    def weights(self, task: int | None) -> Mapping[str, Tensor] | None:
        """The weights of the tasks up to ``task``, zero elsewhere; None for one that is still being learnt."""
        learnt = self.tasks.tolist()
        if task not in learnt:
            return None
        last, owners, kept = learnt.index(task) + 1, self._owners(), self._kept()
        return {
            self._names[number]: kept[number].masked_fill((owners[number] == 0) | (owners[number] > last), 0)
            for number in self._layers()
        }

    def _prune(self, params: Sequence[Tensor], owner: int, classes: Tensor | None) -> None:
        """Give what the task has used to ``owner`` and set the rest to zero."""
        share = self.share if owner == 1 else self.later_share
        layers = self._layers()
        for number, (p, owners) in enumerate(zip(params, self._owners(), strict=True)):
            mine = owners == 0
            if number in layers:
                freed = smallest(p, mine, share)
                p.masked_fill_(freed, 0)
                mine &= ~freed
            elif self._of_head[number] and classes is not None and len(p) == len(classes):
                mine &= classes.view(-1, *[1] * (p.dim() - 1))
            owners.masked_fill_(mine, owner)

    def _retrain(self, boundary: Boundary, owner: int) -> int:
        """Train what ``owner`` has; returns how many examples were seen."""
        model, count = boundary.model, 0
        params = [p for p in model.parameters() if p.requires_grad]
        fixed, held = [owners != owner for owners in self._owners()], [p.detach().clone() for p in params]
        optimizer = self._make(params)
        for group in optimizer.param_groups:
            group["lr"] = group["lr"] * self.rate_factor
        model.train()
        for epoch in range(self.epochs):
            order = generator(self.seed, f"{self.name}/order/{epoch}", boundary.index)
            for step, batch in enumerate(boundary.batches(self.batch_size, order)):
                if len(batch) < 2:  # too few for batch statistics
                    continue
                with torch.enable_grad(), addressed_default(self.seed, f"{self.name}/{epoch}/{step}", boundary.index):
                    logits = model(batch.x).logits
                    loss = cross_entropy(logits, batch.y, boundary.allowed(batch), reduction="mean")
                    grads = torch.autograd.grad(loss, params, allow_unused=True)
                for p, grad, away in zip(params, grads, fixed, strict=True):
                    p.grad = None if grad is None else grad.masked_fill(away, 0)
                optimizer.step()
                for p, away, before in zip(params, fixed, held, strict=True):
                    p.copy_(torch.where(away, before, p))
                count += len(batch)
        optimizer.zero_grad()
        model.eval()
        return count

    def _check(self, task: int) -> None:
        if task in self.tasks.tolist():
            raise ValueError(f"task {task} was learnt before, and PackNet keeps what it learnt: begin another task")
        norms = [module for module in self.model.modules() if isinstance(module, _BatchNorm)]
        if any(norm.training and norm.track_running_stats for norm in norms):
            raise ValueError(
                "PackNet keeps earlier answers, and batch normalization would not: its statistics follow the new data; "
                "build the model with perdure.nn.with_settling_norms(model) and put SettleNorms() after PackNet"
            )
        owners = self._owners()
        if not any(bool((owners[number] == 0).any()) for number in self._layers()):
            raise ValueError(
                f"{len(self.tasks)} tasks have used up all weights, and none is free for task {task}: free more with "
                f"share= and later_share= (now {self.share} and {self.later_share}), or give a larger model"
            )

    def _look(self, params: Mapping[str, Tensor]) -> None:
        head = {id(p) for p in self._head[0].parameters()}
        self._names = tuple(params)
        self._of_head = tuple(id(p) in head for p in params.values())
        self._dims = tuple(p.dim() for p in params.values())

    def _layers(self) -> list[int]:
        """The numbers of the parameters that are shared out."""
        return [n for n, of_head in enumerate(self._of_head) if not of_head and self._dims[n] > 1]

    def _owners(self) -> list[Tensor]:
        return [self.get_buffer(f"owner_{number}") for number in range(len(self._names))]

    def _kept(self) -> list[Tensor]:
        return [self.get_buffer(f"kept_{number}") for number in range(len(self._names))]

    def _load_from_state_dict(self, *arguments: Any) -> None:
        super()._load_from_state_dict(*arguments)
        self._checked = False
