import pickle

import numpy as np
import pytest
import torch
from scipy import ndimage
from sklearn.datasets import load_digits

from perdure.streams import ArrayData, permuted, rotated

IMAGES = load_digits().images.astype(np.float32)


@pytest.mark.parametrize("degrees", [7.5, 45, 80, 90, 160, -30, 450])
@pytest.mark.parametrize("crop", [np.s_[:], np.s_[:5], np.s_[:, :5]], ids=["square", "wide", "tall"])
def test_rotation_is_scipys(degrees, crop):
    for image in IMAGES[:20]:
        image = image[crop]
        expected = ndimage.rotate(
            image.astype(float), degrees, axes=(1, 0), reshape=False, order=1, mode="grid-constant"
        )
        found = rotated(degrees)(torch.from_numpy(image)[None, None].double())
        np.testing.assert_allclose(found[0, 0].numpy(), expected, atol=1e-9)


def test_rotation_by_nothing_is_nothing():
    x = torch.from_numpy(IMAGES)
    assert rotated(0)(x) is x
    assert rotated(360)(x) is x


def test_quarter_turns_permute_the_pixels():
    x = torch.from_numpy(IMAGES).to(torch.uint8)
    assert torch.equal(rotated(90)(x), x.rot90(1, (1, 2)))
    assert torch.equal(rotated(-90)(x), x.rot90(-1, (1, 2)))
    assert torch.equal(rotated(180)(x), x.flip(1, 2))


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int16, torch.float16, torch.float32, torch.float64])
@pytest.mark.parametrize("shape", [(-1, 8, 8), (-1, 1, 8, 8), (-1, 3, 8, 8)])
def test_rotation_keeps_dtype_and_shape_and_rounds_integers(dtype, shape):
    x = torch.from_numpy(IMAGES * 15).to(dtype).reshape(shape)
    turned = rotated(30)(x)
    assert turned.dtype == dtype
    assert turned.shape == x.shape
    exact = rotated(30)(x.double())
    assert (turned.double() - exact).abs().max() <= {torch.float16: 0.07, torch.float32: 1e-4}.get(dtype, 0.5 + 1e-4)


def test_rotation_is_the_same_for_any_chunk(monkeypatch):
    data = ArrayData((IMAGES * 15).astype(np.uint8), np.zeros(len(IMAGES), int), transform=rotated(25))
    whole = torch.cat([b.x for b in data.batches(50)])
    monkeypatch.setattr(ArrayData, "chunk_bytes", 1)
    assert torch.equal(torch.cat([b.x for b in data.batches(3)]), whole)


@pytest.mark.parametrize("shape", [(-1, 64), (-1, 8, 8), (-1, 1, 8, 8)])
def test_permutation_moves_each_pixel_once(shape):
    pixels = torch.arange(64).reshape(1, *shape[1:])
    order = permuted(3, 2)(pixels).flatten()
    assert sorted(order.tolist()) == list(range(64))
    assert order.tolist() != list(range(64))
    x = torch.from_numpy(IMAGES).reshape(shape)
    mixed = permuted(3, 2)(x)
    back = torch.empty(len(x), 64)
    back[:, order] = mixed.flatten(1)
    assert torch.equal(back.reshape(x.shape), x)


def test_permutation_keeps_channels_together():
    x = torch.from_numpy(IMAGES)[:, None] * torch.tensor([1.0, 2.0, 3.0])[:, None, None]
    red, green, blue = permuted(0, 1)(x).unbind(1)
    assert torch.equal(green, 2 * red)
    assert torch.equal(blue, 3 * red)


def test_permutations_differ_by_index_and_seed_and_begin_with_none():
    x = torch.arange(64).reshape(1, 64)
    assert permuted(0, 0)(x) is x
    orders = {tuple(permuted(seed, index)(x)[0].tolist()) for seed in range(3) for index in range(1, 4)}
    assert len(orders) == 9
    assert torch.equal(permuted(1, 1)(x), permuted(1, 1)(x))


def test_transforms_can_be_pickled():
    x = torch.from_numpy(IMAGES)
    for transform in (permuted(1, 2), rotated(33)):
        again = pickle.loads(pickle.dumps(transform))  # noqa: S301
        assert again.name == transform.name
        assert torch.equal(again(x), transform(x))


def test_what_cannot_be_transformed_is_refused():
    with pytest.raises(ValueError, match=r"reshape it to images"):
        rotated(10)(torch.zeros(5, 64))
    with pytest.raises(ValueError, match="finite"):
        rotated(float("nan"))
    with pytest.raises(ValueError, match="nothing to permute"):
        permuted(0, 1)(torch.zeros(5))
    with pytest.raises(ValueError, match="count from 0"):
        permuted(0, -1)
