"""The two residual networks of the field's papers, for images of about 32 x 32."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from torch import Tensor, nn

from perdure.nn._linear import LinearHead
from perdure.nn._model import Network

_Shortcut = Callable[[int, int, int], nn.Module]


class _Block(nn.Module):
    """Two 3 x 3 convolutions and a shortcut (He et al. 2016, fig. 2)."""

    def __init__(self, width_in: int, width: int, stride: int, shortcut: nn.Module) -> None:
        super().__init__()
        self.conv1 = _conv(width_in, width, stride)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = _conv(width, width)
        self.bn2 = nn.BatchNorm2d(width)
        self.shortcut = shortcut
        self.relu = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        y = self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x)))))
        out: Tensor = self.relu(y + self.shortcut(x))
        return out


class _Subsample(nn.Module):
    """Option A of He et al. 2016: every second pixel, missing channels filled with zeros; no parameters."""

    def __init__(self, width_in: int, width: int, stride: int) -> None:
        super().__init__()
        self.stride, self.extra = stride, width - width_in

    def forward(self, x: Tensor) -> Tensor:
        half = self.extra // 2
        return nn.functional.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, half, self.extra - half))


def slim_resnet18(shape: Sequence[int], num_classes: int, *, normalize: nn.Module | None = None) -> Network:
    """ResNet-18 with 20 instead of 64 channels, as in GEM (Lopez-Paz and Ranzato 2017).

    It has 160 features and about 1.1 M parameters.
    """
    widths, strides, depth = (20, 40, 80, 160), (1, 2, 2, 2), 2

    def shortcut(width_in: int, width: int, stride: int) -> nn.Module:
        if stride == 1 and width_in == width:
            return nn.Identity()
        return nn.Sequential(nn.Conv2d(width_in, width, 1, stride, bias=False), nn.BatchNorm2d(width))

    return _resnet(shape, num_classes, widths, strides, depth, shortcut, normalize)


def resnet32(shape: Sequence[int], num_classes: int, *, normalize: nn.Module | None = None) -> Network:
    """ResNet-32 for CIFAR: 3 stages of 5 blocks, 64 features, about 0.46 M parameters.

    Source: He et al. 2016, section 4.2, with its parameter-free shortcuts; the network of iCaRL.
    """

    def shortcut(width_in: int, width: int, stride: int) -> nn.Module:
        return nn.Identity() if stride == 1 and width_in == width else _Subsample(width_in, width, stride)

    return _resnet(shape, num_classes, (16, 32, 64), (1, 2, 2), 5, shortcut, normalize)


def _resnet(
    shape: Sequence[int],
    num_classes: int,
    widths: Sequence[int],
    strides: Sequence[int],
    depth: int,
    shortcut: _Shortcut,
    normalize: nn.Module | None,
) -> Network:
    if len(shape) != 3:
        raise ValueError(
            f"inputs of shape {tuple(shape)}: a residual network takes images (channels, height, width); try model mlp"
        )
    layers: list[nn.Module] = [normalize] if normalize is not None else []
    layers += [_conv(shape[0], widths[0]), nn.BatchNorm2d(widths[0]), nn.ReLU()]
    before = widths[0]
    for width, stride in zip(widths, strides, strict=True):
        for i in range(depth):
            step = stride if i == 0 else 1
            layers.append(_Block(before, width, step, shortcut(before, width, step)))
            before = width
    layers += [nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    return Network(nn.Sequential(*layers), LinearHead(before, num_classes))


def _conv(width_in: int, width: int, stride: int = 1) -> nn.Conv2d:
    conv = nn.Conv2d(width_in, width, 3, stride, padding=1, bias=False)
    nn.init.kaiming_normal_(conv.weight, mode="fan_out", nonlinearity="relu")
    return conv
