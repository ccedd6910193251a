"""Samples of models that draw an image pixel by pixel: the naive way, from a cache, and by Jacobi iteration.

A pixel is drawn from uniform numbers by inverse distribution functions, so that an image is a function of its
uniforms, and all three ways give the same one, bit for bit:

- Naive sampling passes the images through the whole network once a pixel. It says what is right.
- The cache computes one position of each layer. It adds up the same terms in another order, so outputs differ
  in their last bits, by about 1e-6. Where a uniform number is so close to a border between two levels that
  1e-5 could decide, the whole network is asked: once in 50,000 draws of a binary pixel. In two cases
  equality is likely, not certain: differences grow with the outputs, to 1e-5 in a colour network of full
  width; and a mixture's value is moved by several times what its outputs are.
- Jacobi iteration draws all pixels at once from the images as they are, until nothing changes. A pixel's
  outputs do not depend on later ones, so this ends at the one image that draws itself: the naive one.

The last presumes that zero weights hide later pixels from the last bit of an output. Direct convolution
does so. Kernels that transform their input (Winograd, Fourier) do not, which some GPU libraries may choose.
On a GPU the margin of 1e-5 also wants convolutions in float32: torch.backends.cudnn.allow_tf32 = False, as in
benchmarks/images.

References:
    Ramachandran et al. 2017 (arXiv 1704.06001), the cache; Song et al. 2021 (arXiv 2002.03629), Jacobi
    iteration; Wiggers and Hoogeboom 2020 (arXiv 2002.09928), fixed noise.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor

from rlgen.generative.noise import uniform

if TYPE_CHECKING:
    from rlgen.generative.pixel_model import PixelModel

MARGIN = 1e-5
"""Draws that are closer to another level than this are settled by the whole network."""


class Given(NamedTuple):
    """Pixels of n images that are not drawn."""

    image: Tensor
    """(n, C, H, W) levels; only those of known pixels matter."""
    known: Tensor
    """(n, 1, H, W) bool, or (1, 1, H, W) for all images alike."""


def draw_uniforms(model: PixelModel, n: int, generator: torch.Generator) -> Tensor:
    """What n images are made of (n, U, H, W), float64, on the model's device."""
    shape = (n, model.pixels.n_uniforms, *model.config.image_shape[1:])
    return uniform(*shape, generator=generator, dtype=torch.float64, device=model.device)


@torch.no_grad()
def sample_naive(model: PixelModel, u: Tensor, given: Given | None = None) -> Tensor:
    """Images (n, C, H, W), levels, of uniforms (n, U, H, W): a pass of the network a pixel and group.

    Raises:
        ValueError: Known pixels that do not fit.
    """
    canvas = _Canvas(model, u, given)
    for i, j in canvas.positions():
        for group in canvas.groups:
            canvas.draw(canvas.look(i, j), i, j, group)
    return canvas.x


@torch.no_grad()
def sample_cached(model: PixelModel, u: Tensor, given: Given | None = None) -> Tensor:
    """The images of `sample_naive`, each layer computed at one position at a time."""
    canvas = _Canvas(model, u, given)
    walk = model.network.walk(len(u), u.shape[3])
    for i, j in canvas.positions():
        if j == 0:
            walk.begin_row()
        for group in canvas.groups:
            margin = canvas.draw(walk.step(model.centred(canvas.x[:, :, i, j]), j), i, j, group)
            if margin < MARGIN:
                canvas.draw(canvas.look(i, j), i, j, group)
        walk.put(model.centred(canvas.x[:, :, i, j]), j)
    return canvas.x


@torch.no_grad()
def sample_jacobi(model: PixelModel, u: Tensor, given: Given | None = None) -> Tensor:
    """The images of `sample_naive`, by passes of the network over all pixels until none changes."""
    canvas = _Canvas(model, u, given)
    n, _, height, width = canvas.x.shape
    flat_u = u.permute(0, 2, 3, 1).flatten(0, 2)  # (n H W, U)
    for _ in range(height * width * len(canvas.groups) * (n > 0)):
        outputs = model.outputs(canvas.x).permute(0, 2, 3, 1).flatten(0, 2)  # (n H W, J)
        levels = model.pixels.draw(outputs, flat_u).levels.view(n, height, width, -1).permute(0, 3, 1, 2)
        x = torch.where(canvas.known, canvas.x, levels)
        if torch.equal(x, canvas.x):
            break
        canvas.x = x
    return canvas.x


class _Canvas:
    """Images in the making; pixels not drawn yet are 0.

    Args:
        model: Says what a pixel is drawn from.
        u: Uniforms (n, U, H, W).
        given: Known pixels.
    """

    def __init__(self, model: PixelModel, u: Tensor, given: Given | None) -> None:
        self.model, self.u = model, u
        n, shape = len(u), model.config.image_shape
        self.x = torch.zeros(n, *shape, dtype=torch.uint8, device=u.device)
        self.known = torch.zeros(n, 1, *shape[1:], dtype=torch.bool, device=u.device)
        channels = torch.arange(shape[0], device=u.device) * model.pixels.groups // shape[0]
        self.groups = [channels == group for group in range(model.pixels.groups)]
        if given is not None:
            fits = given.known.shape[1:] == self.known.shape[1:] and len(given.known) in (1, n)
            if not fits or given.known.dtype != torch.bool:
                raise ValueError(
                    f"known is {given.known.dtype} of shape {tuple(given.known.shape)}: pass bool of "
                    f"({n}, 1, {shape[1]}, {shape[2]})"
                )
            if len(given.image) not in (1, n):
                raise ValueError(f"{len(given.image)} images are given for {n} samples: pass {n}, or 1")
            self.known |= given.known
            self.x = torch.where(self.known, model.check(given.image), self.x)

    def positions(self) -> list[tuple[int, int]]:
        """Rows and columns in the order in which they are drawn; none if there are no images."""
        height, width = self.x.shape[2:] if len(self.x) else (0, 0)
        return [(i, j) for i in range(height) for j in range(width)]

    def look(self, i: int, j: int) -> Tensor:
        """The whole network's outputs (n, J) for a pixel."""
        return self.model.outputs(self.x)[:, :, i, j]

    def draw(self, outputs: Tensor, i: int, j: int, group: Tensor) -> float:
        """Set a group of channels (C,) of a pixel, where it is not known; gives the least margin."""
        drawn = self.model.pixels.draw(outputs, self.u[:, :, i, j])
        pixel = self.x[:, :, i, j]  # (n, C), a view
        pixel.copy_(torch.where(group & ~self.known[:, :, i, j], drawn.levels, pixel))
        return drawn.margin[:, group].min().item()
