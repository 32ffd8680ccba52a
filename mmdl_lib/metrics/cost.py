r"""Cost of training: operations, energy, and the carbon dioxide of that energy.

$$\text{energy} = \text{PUE} \cdot \frac{\text{watts} \cdot \text{hours}}{1000}
\ \text{kWh}, \qquad
\text{CO}_2\text{e} = \text{energy} \cdot \text{intensity}.$$

PUE, the power usage effectiveness, is what a data center draws for each unit that its
computers get: cooling, losses. The intensity is what the grid emits for a kWh.

For a language model the operations are known before it is built: each of its N weights
takes part in one multiply and one add for each of D tokens, forward once and backward
twice,

$$\text{operations} = 6 N D, \qquad N \approx 12\, L\, d^2$$

in L blocks of width d (attention 4 d^2, MLP 8 d^2), embeddings not counted.

**Source** Strubell, Ganesh, McCallum, "Energy and Policy Considerations for Deep
Learning in NLP", ACL 2019, arXiv 1906.02243, section 2.
**Range** from 0, lower is better.
**Official implementation** operations: torch's `FlopCounterMode`, which we call;
intensities of sources and countries: codecarbon 3.3.2.
**Quirks** The counter sees matrix products and convolutions, and not activations or
norms; it counts a multiply and an add as two, while papers of vision models often print
multiply-adds under the name FLOPs, which is half. A forward and a backward pass cost
about three forward passes. All numbers of CO2e are estimates: the same run emits ten
times as much on one grid as on another. 6 N D leaves out the scores of attention, which
grow with the context n: 12 L d n more for each token, a small part unless n is several
times d.
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

# g CO2e a kWh of a country's mix in 2023
COUNTRIES = {
    "Norway": 30.08,
    "Sweden": 40.695,
    "France": 56.039,
    "United Kingdom": 237.589,
    "United States": 369.473,
    "Germany": 380.95,
    "China": 582.317,
    "Poland": 661.926,
    "South Africa": 707.686,
    "India": 713.441,
}


def block_weights(depth: int, width: int) -> int:
    """N = 12 L d^2: weights in the matrices of a Transformer's blocks.

    Biases, norms and embeddings are left out.

    Raises:
        ValueError: a depth or width below one.

    Example:
        >>> block_weights(96, 12288)  # GPT-3
        173946175488
    """
    check_number("depth", depth, 1, whole=True)
    check_number("width", width, 1, whole=True)
    return 12 * depth * width**2


def language_flops(weights: int | float, tokens: int | float) -> float:
    """Operations of training a language model: 6 N D, see above.

    Args:
        weights: N, from 0; those of the embeddings hardly count.
        tokens: D that are read in training, from 0, repeated ones each time.

    Raises:
        ValueError: an argument out of its range, NaN or infinity.

    Example:
        >>> f"{language_flops(block_weights(96, 12288), 300e9):.2e}"  # GPT-3
        '3.13e+23'
    """
    check_number("weights", weights, 0)
    check_number("tokens", tokens, 0)
    return 6.0 * weights * tokens


def device_hours(
    flops: int | float, *, peak: int | float, utilization: int | float
) -> float:
    """Hours of one device for so many operations; n devices share them.

    Args:
        flops: operations in all, from 0.
        peak: operations a second that the device could do.
        utilization: the share of it that is reached, in (0, 1].

    Raises:
        ValueError: an argument out of its range, NaN or infinity.

    Example:
        >>> device_hours(3.6e18, peak=1e15, utilization=0.5)
        2.0
    """
    check_number("flops", flops, 0)
    check_number("peak", peak, above=0)
    check_number("utilization", utilization, high=1, above=0)
    return flops / (peak * utilization) / 3600


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
        intensity: grams a kWh, or a key of `INTENSITY` or `COUNTRIES`.

    Raises:
        ValueError: an unknown key, a negative number, NaN or infinity.

    Example:
        >>> round(co2_kg(100, "coal") / co2_kg(100, "wind"))
        38
    """
    if isinstance(intensity, str):
        known = INTENSITY | COUNTRIES
        check_choice("intensity", intensity, known)
        intensity = known[intensity]
    check_number("kwh", kwh, 0)
    check_number("intensity", intensity, 0)
    return kwh * intensity / 1000
