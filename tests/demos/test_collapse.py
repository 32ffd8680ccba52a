"""The demo of collapse: its BYOL in Node, against torch, and its page in a browser."""

import json
import subprocess
from itertools import pairwise

import pytest
import torch

from mmdl_lib import demos
from mmdl_lib.core import generator
from mmdl_lib.metrics import collapse
from mmdl_lib.models.byol import regression_loss

FOLDER = demos.HERE / "collapse"
ALL = {"predictor": True, "stop": True, "slow": True, "norm": True}
RUNS = {
    "all parts": {},
    "no slow target": {"slow": False},
    "no predictor": {"predictor": False},
    "no predictor, no slow target": {"predictor": False, "slow": False},
    "no stop-gradient": {"stop": False},
    "no predictor, no stop-gradient": {"predictor": False, "stop": False},
    "no batch norm": {"norm": False},
}
COLLAPSES = [name for name in RUNS if name not in ("all parts", "no slow target")]


def node(script, argument=None):
    """What a script returns; it knows the module as `m` and its argument as `x`."""
    text = f"""const m = await import(process.argv[1]);
      const x = JSON.parse(process.argv[2]);
      const main = async () => {{ {script} }};
      console.log(JSON.stringify(await main(), (_, v) =>
        v instanceof Float64Array ? [...v] : v));"""
    module = (FOLDER / "byol.js").as_uri()
    command = ["node", "--input-type=module", "-e", text, module, json.dumps(argument)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


MATRIX = "const z = m.matrix(x.rows, x.cols, (i) => x.data[i]);"


def tensor(found):
    """A matrix of the module."""
    data = torch.tensor(found["data"], dtype=torch.double)
    return data.reshape(found["rows"], found["cols"])


# ---- gradients
def say(net, x, norm):
    """A network of the demo, in torch."""
    linear = x @ net["w1"] + net["b1"]
    if norm:
        linear = torch.nn.functional.batch_norm(linear, None, None, training=True)
    return linear.relu() @ net["w2"] + net["b2"]


def loss_by_torch(nets, pair, parts):
    """Eq. (2) of BYOL's paper, symmetrized, for the parts that there are."""
    target = nets["target"] if parts["stop"] and parts["slow"] else nets["online"]
    loss = 0
    for one, two in (pair, pair[::-1]):
        q, z = (
            say(net, x, parts["norm"])
            for net, x in ((nets["online"], one), (target, two))
        )
        if parts["predictor"]:
            q = say(nets["predictor"], q, parts["norm"])
        loss = loss + regression_loss(q, z.detach() if parts["stop"] else z).mean()
    return loss


@pytest.mark.parametrize("changed", RUNS.values(), ids=RUNS)
def test_the_gradient_by_hand_is_that_of_autograd(changed):
    parts = ALL | changed
    found = node(
        """const state = m.start(3, x), angles = [0, 1, 2, 3, 4, 5];
        const pair = [m.views(angles, state.random), m.views(angles, state.random)];
        const { online, target, predictor } = state;
        return { nets: { online, target, predictor }, pair,
          ...m.lossAndGradients(state, pair) };""",
        parts,
    )
    nets = {
        which: {name: tensor(value).requires_grad_() for name, value in net.items()}
        for which, net in found["nets"].items()
    }
    loss = loss_by_torch(nets, [tensor(view) for view in found["pair"]], parts)
    loss.backward()
    assert found["loss"] == pytest.approx(loss.item(), abs=1e-9)
    for which in ("online", "predictor"):
        for name, weight in nets[which].items():
            wanted = torch.zeros_like(weight) if weight.grad is None else weight.grad
            ours = tensor(found["gradients"][which][name])
            torch.testing.assert_close(ours, wanted, atol=1e-9, rtol=1e-7)
    assert tensor(found["gradients"]["online"]["w1"]).norm() > 1e-3


@pytest.mark.parametrize("changed", [{}, {"stop": False}], ids=["all parts", "no stop"])
def test_the_gradient_is_what_finite_differences_say(changed):
    # where the target is the net itself and stands still, the loss alone cannot tell
    pairs = node(
        """const state = m.start(1, x), angles = [0, 1, 2, 3, 4];
        const pair = [m.views(angles, state.random), m.views(angles, state.random)];
        const { gradients } = m.lossAndGradients(state, pair), out = [];
        const loss = () => m.lossAndGradients(state, pair).loss;
        for (const which of ["online", "predictor"])
          for (const name of ["w1", "b1", "w2", "b2"]) {
            const weights = state[which][name].data, kept = weights[5];
            const [up, down] = [1e-5, -1e-5].map((h) => {
              weights[5] = kept + h;
              return loss();
            });
            weights[5] = kept;
            out.push([gradients[which][name].data[5], (up - down) / 2e-5]);
          }
        return out;""",
        ALL | changed,
    )
    assert len(pairs) == 8 and max(abs(ours) for ours, _ in pairs) > 1e-3
    for ours, wanted in pairs:
        assert ours == pytest.approx(wanted, abs=1e-7, rel=1e-4)


def test_a_step_is_momentum_and_then_the_target_follows():
    found = node(
        """const state = m.start(2, x);
        const keys = ["online", "target", "predictor", "velocity"];
        const copy = () => structuredClone(keys.map((key) => state[key]));
        const seen = [copy()], gradients = [];
        for (const seed of [7, 8]) {
          const random = m.generator(seed);
          const angles = Array.from({ length: m.SIZES.batch }, () =>
            2 * Math.PI * random.uniform());
          const pair = [m.views(angles, random), m.views(angles, random)];
          gradients.push(m.lossAndGradients(state, pair).gradients);
          state.random = m.generator(seed);
          m.step(state);
          seen.push(copy());
        }
        return { seen, gradients, training: m.TRAINING };""",
        ALL,
    )
    rate, momentum, tau = (found["training"][k] for k in ("rate", "momentum", "tau"))
    for (old, new), gradient in zip(
        pairwise(found["seen"]), found["gradients"], strict=True
    ):
        for name in ("w1", "b1", "w2", "b2"):
            for which, place in (("online", 0), ("predictor", 2)):
                speed = momentum * tensor(old[3][which][name])
                speed = speed + tensor(gradient[which][name])
                wanted = tensor(old[place][name]) - rate * speed
                torch.testing.assert_close(tensor(new[place][name]), wanted)
            wanted = tau * tensor(old[1][name]) + (1 - tau) * tensor(new[0][name])
            torch.testing.assert_close(tensor(new[1][name]), wanted)


# ---- what is measured
def vectors():
    g = generator(0)
    full = torch.randn(40, 8, generator=g).double()
    flat = torch.randn(40, 2, generator=g).double() @ full[:2]
    near = 5 + 0.01 * full
    return {
        "full": full,
        "flat": flat,
        "near": near,
        "equal": torch.ones(40, 8).double(),
    }


@pytest.mark.parametrize("kind", vectors())
def test_spread_and_rank_are_those_of_the_library(kind):
    z = vectors()[kind]
    argument = {"rows": len(z), "cols": 8, "data": z.flatten().tolist()}
    spread, rank = node(f"{MATRIX} return [m.spread(z), m.effectiveRank(z)];", argument)
    assert spread == pytest.approx(collapse.spread(z), abs=1e-7)
    # squares lose half of the digits where singular values are zero
    assert rank == pytest.approx(collapse.effective_rank(z), abs=1e-5)


def test_the_drawing_shows_the_plane_of_largest_variance():
    z = vectors()["full"] * torch.linspace(3, 0.3, 8)
    argument = {"rows": len(z), "cols": 8, "data": z.flatten().tolist()}
    script = (
        MATRIX + "const a = m.drawn(z); return [a.points, m.drawn(z, a.axes).points];"
    )
    first, again = (torch.tensor(p, dtype=z.dtype) for p in node(script, argument))
    x = torch.nn.functional.normalize(z, dim=1)
    wanted = (x - x.mean(0)).svd().S[:2]
    torch.testing.assert_close(first.svd().S, wanted, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(first, again, atol=1e-3, rtol=0)
    assert first.mean(0).abs().max() < 1e-9 and first.norm(dim=1).max() < 2


# ---- what happens, for each seed that the page offers
@pytest.fixture(scope="module")
def runs():
    """{run: {seed: [(spread, rank) at the start, after 5 and all steps, loss]}}"""
    return node(
        """const pictures = m.views(m.PLACES, m.generator(1000)), out = {};
        for (const [name, parts] of Object.entries(x)) {
          out[name] = m.SEEDS.map((seed) => {
            const state = m.start(seed, parts), seen = [];
            const look = () => {
              const z = m.forward(state.online, pictures, parts.norm).out;
              seen.push([m.spread(z), m.effectiveRank(z)]);
            };
            let loss;
            look();
            for (let i = 1; i <= m.TRAINING.steps; i++) {
              loss = m.step(state);
              if (i === 5 || i === m.TRAINING.steps) look();
            }
            return [...seen, loss];
          });
        }
        return out;""",
        {name: ALL | changed for name, changed in RUNS.items()},
    )


def test_ten_seeds_are_offered(runs):
    assert all(len(seeds) == 10 for seeds in runs.values())
    starts = {tuple(seed[0]) for seed in runs["all parts"]}
    assert len(starts) == 10


@pytest.mark.parametrize("name", ["all parts", "no slow target"])
def test_with_predictor_and_stop_gradient_no_seed_collapses(runs, name):
    for start, _, end, _ in runs[name]:
        assert end[0] > 0.85 and end[0] > start[0]


@pytest.mark.parametrize("name", COLLAPSES)
def test_without_one_of_the_three_parts_every_seed_collapses(runs, name):
    for (start, _, end, loss), whole in zip(runs[name], runs["all parts"], strict=True):
        assert end[0] < 0.3 and end[0] < start[0] / 2
        assert loss < 0.1 < whole[3]  # the loss is lowest where the net has collapsed


def test_without_the_predictor_the_spread_falls_first(runs):
    for name in ("no predictor", "no predictor, no slow target"):
        for off, whole in zip(runs[name], runs["all parts"], strict=True):
            (start, five, end, _), (_, five_on, end_on, _) = off, whole
            assert five[0] < 0.55 * start[0]
            # of the rank more is left than of the spread, beside the run with all parts
            assert five[1] / five_on[1] > 1.3 * five[0] / five_on[0]
            assert end[1] < end_on[1]
            assert five_on[1] < 0.85 * start[1]  # the rank falls in any case


# ---- the page
@pytest.fixture
def page(visit, address):
    page, faults = visit(address + "collapse.html")
    yield page
    assert faults == []
    page.close()


def status(page):
    return page.get_by_role("status").inner_text()


def finish(page):
    page.get_by_role("status").get_by_text("spread from").wait_for(timeout=120_000)


def test_the_first_sight_says_what_it_is_and_shows_an_untrained_net(page):
    text = page.locator("mmdl-demo").inner_text()
    assert "two views of a picture" in text and "step 0: spread 0." in text
    assert status(page) == "An untrained net, with all parts."
    assert page.locator("svg.cloud circle").count() == 97
    assert page.locator("figure").count() == 0
    assert page.get_by_label("Step", exact=True).is_disabled()


def test_two_runs_are_compared_and_the_numbers_are_those_of_the_module(page, runs):
    page.get_by_role("button", name="Train for 60 steps").click()
    finish(page)
    (start, _, end, loss) = runs["all parts"][0]
    said = f"spread from {start[0]:.2f} to {end[0]:.2f}, rank from {start[1]:.1f} "
    said += f"to {end[1]:.1f}, loss {loss:.2f}."
    assert status(page) == "60 steps with all parts: " + said
    page.get_by_role("checkbox", name="Predictor").uncheck()
    assert status(page) == "An untrained net, without predictor."
    assert "Dashed: the run before, with all parts, seed 0." in page.inner_text("body")
    page.get_by_role("button", name="Train for").click()
    finish(page)
    assert status(page).startswith("60 steps without predictor: spread from")
    lines = page.locator("polyline").evaluate_all(
        "all => all.map((x) => x.getAttribute('points').split(' ').length)"
    )
    assert lines == [61] * 4
    radius = page.locator("svg.cloud circle:not(.rim)").evaluate_all(
        "all => Math.max(...all.map((x) => Math.hypot(x.getAttribute('cx'), "
        "x.getAttribute('cy'))))"
    )
    assert radius < 0.6


def test_without_a_stop_gradient_there_is_no_slow_target(page):
    slow = page.get_by_role("checkbox", name="Slow target")
    page.get_by_role("checkbox", name="Stop-gradient").uncheck()
    assert slow.is_disabled() and "There is no slow target" in status(page)
    assert "without stop-gradient." in status(page)
    page.get_by_role("checkbox", name="Stop-gradient").check()
    assert slow.is_enabled()


def test_the_keyboard_trains_stops_and_looks_back(page):
    page.get_by_role("checkbox", name="Predictor").focus()
    page.keyboard.press("Space")
    assert not page.get_by_role("checkbox", name="Predictor").is_checked()
    for _ in range(4):
        page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Stop").wait_for()
    page.keyboard.press("Enter")
    assert "step 0" in page.locator(".values").inner_text()
    page.keyboard.press("Enter")
    finish(page)
    page.get_by_label("Step", exact=True).focus()
    page.keyboard.press("Home")
    assert page.locator(".values").inner_text().startswith("step 0: spread 0.8")
    page.keyboard.press("ArrowRight")
    slider = page.get_by_label("Step", exact=True)
    assert slider.get_attribute("aria-valuetext").startswith("step 1: spread")


def test_another_seed_is_another_net_and_the_same_seed_the_same(page):
    seen = []
    for seed in ("4", "0", "4"):
        page.get_by_label("Seed").select_option(seed)
        seen.append(page.locator(".values").inner_text())
    assert seen[0] == seen[2] != seen[1]


COUNT = """() => { window.drawn = 0;
  new MutationObserver(() => window.drawn++).observe(
    document.querySelector(".values"), { childList: true }); }"""


@pytest.mark.parametrize("motion", ["reduce", "no-preference"])
def test_who_wants_no_motion_sees_the_end_only(visit, address, motion):
    page, _ = visit(address + "collapse.html", reduced_motion=motion)
    page.evaluate(COUNT)
    page.get_by_role("button", name="Train for").click()
    finish(page)
    drawn = page.evaluate("window.drawn")
    assert drawn == 1 if motion == "reduce" else drawn > 30
    page.close()


def test_the_questions_are_answered_in_folds(page):
    answer = page.get_by_text("The spread. Five steps")
    assert not answer.is_visible()
    page.get_by_text("What falls first when the predictor goes?").click()
    assert answer.is_visible()
    page.get_by_text("Which parts does it need?").click()
    assert page.get_by_text("the lesson of SimSiam").is_visible()


def test_the_same_module_trains_in_a_notebook(live):
    page, faults = live(demos.collapse(), [])
    page.get_by_role("button", name="Train for").click()
    finish(page)
    assert faults == []
    page.close()
