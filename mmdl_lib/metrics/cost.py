r"""Cost of training: operations, energy, and the carbon dioxide of that energy.

$$\text{energy} = \text{PUE} \cdot \frac{\text{watts} \cdot \text{hours}}{1000}
\ \text{kWh}, \qquad
\text{CO}_2\text{e} = \text{energy} \cdot \text{intensity}.$$

PUE, the power usage effectiveness, is what a data center draws for each unit that its
computers get: cooling, losses. The intensity is what the grid emits for a kWh.

**Source** Strubell, Ganesh, McCallum, "Energy and Policy Considerations for Deep
Learning in NLP", ACL 2019, arXiv 1906.02243, section 2.
**Range** from 0, lower is better.
**Official implementation** operations: torch's `FlopCounterMode`, which we call;
intensities: codecarbon 3.3.2.
**Quirks** The counter sees matrix products and convolutions, and not activations or
norms; it counts a multiply and an add as two, while papers of vision models often print
multiply-adds under the name FLOPs, which is half. A forward and a backward pass cost
about three forward passes. All numbers of CO2e are estimates: the same run emits ten
times as much on one grid as on another.
"""

from collections.abc import Callable

from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from mmdl_lib.borders import check_choice, check_number

PUE = 1.58  # the average that Strubell et al. take, of 2018
US_GRID = 433.0  # g CO2e a kWh, their 0.954 pounds
# g CO2e a kWh by the source of the power, and of the world's mix of 2019
INTENSITY = {
    "coal": 995.0,
    "petroleum": 816.0,
    "natural_gas": 743.0,
    "geothermal": 38.0,
    "hydroelectricity": 26.0,
    "nuclear": 29.0,
    "solar": 48.0,
    "wind": 26.0,
    "world_average": 475.0,
}


def training_flops(loss: Callable[[], Tensor]) -> int:
    """Operations of one forward and backward pass; two for a multiply and an add.

    Args:
        loss: computes a loss with gradients; may live on the meta device, where nothing
            is computed and no memory is taken.

    Raises:
        ValueError: the loss has no gradient.

    Example:
        >>> import torch
        >>> weight = torch.ones(3, 5, requires_grad=True)
        >>> x = torch.ones(7, 3)
        >>> training_flops(lambda: (x @ weight).sum())  # once forward, once for weight
        420
    """
    with FlopCounterMode(display=False) as counter:
        found = loss()
        if not getattr(found, "requires_grad", False):
            raise ValueError("loss expected a tensor with gradients, got none.")
        found.backward()
    return counter.get_total_flops()


def energy_kwh(
    watts: int | float, hours: int | float, *, pue: int | float = PUE
) -> float:
    """Energy of a run at its mean power, everything in the data center included.

    Args:
        watts: of processors, memory and accelerators together, from 0.
        hours: of the run, from 0.
        pue: at least 1.

    Raises:
        ValueError: an argument out of its range, NaN or infinity.

    Example:
        >>> round(energy_kwh(1515.43, 84))  # Transformer big, Table 3 of the paper
        201
    """
    check_number("watts", watts, 0)
    check_number("hours", hours, 0)
    check_number("pue", pue, 1)
    return pue * watts * hours / 1000


def co2_kg(kwh: int | float, intensity: int | float | str = "world_average") -> float:
    """Kilograms of CO2 equivalents of an amount of energy.

    Args:
        kwh: energy, from 0.
        intensity: grams a kWh, or a key of `INTENSITY`.

    Raises:
        ValueError: an unknown key, a negative number, NaN or infinity.

    Example:
        >>> round(co2_kg(100, "coal") / co2_kg(100, "wind"))
        38
    """
    if isinstance(intensity, str):
        check_choice("intensity", intensity, INTENSITY)
        intensity = INTENSITY[intensity]
    check_number("kwh", kwh, 0)
    check_number("intensity", intensity, 0)
    return kwh * intensity / 1000
