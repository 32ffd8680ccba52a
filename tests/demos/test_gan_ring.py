"""The demo of the ring: its GAN in Node, against torch, and its page in a browser."""

import json
import subprocess

import pytest
import torch

from mmdl_lib import demos
from mmdl_lib.core import generator
from mmdl_lib.data import ring
from mmdl_lib.metrics.modes import modes
from mmdl_lib.models import gan

FOLDER = demos.HERE / "gan_ring"
RULES = {"aim": "non-saturating", "pace": 2, "updates": 1, "penalty": 0}
LAYERS = ["w1", "b1", "w2", "b2", "w3", "b3"]


def node(script, argument=None):
    """What a script returns; it knows the module as `m` and its argument as `x`."""
    text = f"""const m = await import(process.argv[1]);
      const b = await import(process.argv[1].replace("gan_ring/game", "collapse/byol"));
      const x = JSON.parse(process.argv[2]);
      const main = async () => {{ {script} }};
      console.log(JSON.stringify(await main(), (_, v) =>
        v instanceof Float64Array ? [...v] : v));"""
    module = (FOLDER / "game.js").as_uri()
    command = ["node", "--input-type=module", "-e", text, module, json.dumps(argument)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def tensor(found):
    """A matrix of the module."""
    data = torch.tensor(found["data"], dtype=torch.double)
    return data.reshape(found["rows"], found["cols"])


def torch_net(found):
    return {key: tensor(found[key]).requires_grad_() for key in LAYERS}


def say(net, x):
    """A net of the demo, in torch."""
    for i in (1, 2):
        x = torch.nn.functional.leaky_relu(x @ net[f"w{i}"] + net[f"b{i}"], 0.1)
    return x @ net["w3"] + net["b3"]


def same(net, gradient):
    for key in LAYERS:
        wanted = torch.zeros_like(net[key]) if net[key].grad is None else net[key].grad
        torch.testing.assert_close(tensor(gradient[key]), wanted, atol=1e-10, rtol=1e-7)
    assert net["w1"].grad.norm() > 1e-4


@pytest.mark.parametrize("penalty", [0, 0.1, 3])
def test_the_gradient_of_d_is_that_of_autograd(penalty):
    found = node(
        """const game = m.begin(3, x), random = b.generator(5);
        const real = m.examples(7, random), fake = m.draw(game, 7, random);
        const share = b.generator(9), shares = Array.from({ length: 7 }, share.uniform);
        return { D: game.D, real, fake, shares,
          ...m.judgeGradient(game, real, fake, b.generator(9)) };""",
        RULES | {"penalty": penalty},
    )
    net = torch_net(found["D"])
    real, fake = tensor(found["real"]), tensor(found["fake"])
    loss = -gan.value(say(net, real)[:, 0], say(net, fake)[:, 0])
    share = torch.tensor(found["shares"], dtype=torch.double)[:, None]
    places = (share * real + (1 - share) * fake).requires_grad_()
    (slope,) = torch.autograd.grad(say(net, places).sum(), places, create_graph=True)
    loss = loss + penalty * (slope.norm(dim=1) - 1).square().mean()
    loss.backward()
    assert found["loss"] == pytest.approx(loss.item(), abs=1e-10)
    same(net, found["gradient"])


@pytest.mark.parametrize("aim", ["non-saturating", "minimax"])
def test_the_gradient_of_g_is_that_of_autograd(aim):
    found = node(
        """const game = m.begin(4, x), random = b.generator(5);
        const z = b.matrix(6, m.PLAY.noise, random.normal);
        return { G: game.G, D: game.D, z, ...m.drawGradient(game, z) };""",
        RULES | {"aim": aim},
    )
    g, d = torch_net(found["G"]), torch_net(found["D"])
    loss = gan.generator_loss(say(d, say(g, tensor(found["z"])))[:, 0], aim)
    loss.backward()
    assert found["loss"] == pytest.approx(loss.item(), abs=1e-10)
    same(g, found["gradient"])


def test_a_turn_is_one_step_of_adam_for_each():
    found = node(
        """const game = m.begin(2, x), old = structuredClone([game.G, game.D]);
        const random = b.generator(0);
        game.random = b.generator(7);
        const again = b.generator(7);
        const real = m.examples(m.PLAY.batch, again);
        const fake = m.draw(game, m.PLAY.batch, again);
        const { gradient } = m.judgeGradient(game, real, fake, again);
        m.turn(game);
        return { old, gradient, now: [game.G, game.D], play: m.PLAY };""",
        RULES,
    )
    rate = found["play"]["rate"]
    for key in LAYERS:  # Adam begins with its rate, against the gradient's sign
        g = tensor(found["gradient"][key])
        wanted = tensor(found["old"][1][key]) - 2 * rate * g / (g.abs() + 1e-8)
        torch.testing.assert_close(tensor(found["now"][1][key]), wanted)
        moved = tensor(found["now"][0][key]) - tensor(found["old"][0][key])
        assert 0 < moved.abs().max() <= rate * 1.001


def test_modes_are_counted_as_the_library_counts_them():
    assert node("return [m.RING.modes, m.RING.radius];") == [ring.MODES, ring.RADIUS]
    points = ring.sample(300, generator=generator(0)).double()
    points[:200] = points[0] + 0.05 * torch.randn(200, 2, generator=generator(1))
    for scale in (1.0, 1.1, 0.0):
        given = scale * points
        argument = {"rows": 300, "cols": 2, "data": given.flatten().tolist()}
        script = "return m.count(b.matrix(x.rows, x.cols, (i) => x.data[i]));"
        ours = node(script, argument)
        wanted = modes(given, ring.centers().double(), deviation=0.1)
        assert ours["found"] == wanted.found
        assert ours["good"] == pytest.approx(wanted.good)


def test_the_field_is_what_d_says_from_the_upper_left():
    found = node(
        """const game = m.begin(1, x), side = 4, at = [-2.25, -0.75, 0.75, 2.25];
        const out = [];
        for (const y of [...at].reverse()) for (const u of at) {
          const p = b.matrix(1, 2, (i) => [u, y][i]);
          out.push(m.sure(m.say(game.D, p).out.data[0]));
        }
        return [m.field(game, side, 3), out];""",
        RULES,
    )
    assert found[0] == pytest.approx(found[1], abs=1e-12)


@pytest.fixture(scope="module")
def ends():
    """{rules: [modes found for each seed that the page offers]}"""
    kinds = {"ahead": {}, "slow": {"pace": 0.1}}
    return node(
        """const out = {};
        for (const [name, rules] of Object.entries(x))
          out[name] = m.TRIES.map((seed) => {
            const game = m.begin(seed, rules);
            for (let i = 0; i < m.PLAY.steps; i++) m.turn(game);
            return m.count(m.draw(game, 400, b.generator(1000))).found;
          });
        return out;""",
        {name: RULES | change for name, change in kinds.items()},
    )


def test_with_every_seed_of_the_page_a_slow_d_loses_modes(ends):
    assert min(ends["ahead"]) >= 6 and max(ends["slow"]) <= 2


# ---- the page
@pytest.fixture
def page(visit, address):
    page, faults = visit(address + "gan_ring.html")
    yield page
    assert faults == []
    page.close()


def status(page):
    return page.get_by_role("status").inner_text()


def finish(page):
    page.get_by_role("status").get_by_text("of the points").wait_for(timeout=120_000)


def test_the_first_sight_says_what_it_is(page):
    text = page.locator("mmdl-demo").inner_text()
    assert "Can G find all eight" in text and "step 0:" in text
    assert status(page) == "Before the game: non-saturating, D at twice that of G."
    assert page.locator("svg .drawn").count() == 400
    assert page.get_by_label("Step", exact=True).is_disabled()


def test_two_games_are_compared_and_the_numbers_are_those_of_the_module(page, ends):
    page.get_by_role("button", name="Play 800 steps").click()
    finish(page)
    assert f": {ends['ahead'][0]} of 8 modes found" in status(page)
    page.get_by_label("Rate of D").select_option("0.1")
    assert "a tenth of G's" in status(page)
    assert "Dashed: the run before, non-saturating" in page.inner_text("body")
    page.get_by_role("button", name="Play").click()
    finish(page)
    assert f": {ends['slow'][0]} of 8 modes found" in status(page)
    lines = page.locator("polyline").evaluate_all(
        "all => all.map((x) => x.getAttribute('points').split(' ').length)"
    )
    assert lines == [41] * 4


def test_the_keyboard_plays_stops_and_looks_back(page):
    page.get_by_label("Seed").focus()
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Stop").wait_for()
    page.keyboard.press("Enter")
    assert "step 0" in page.locator(".values").inner_text()
    page.keyboard.press("Enter")
    finish(page)
    slider = page.get_by_label("Step", exact=True)
    slider.focus()
    page.keyboard.press("Home")
    page.keyboard.press("ArrowRight")
    assert slider.get_attribute("aria-valuetext").startswith("step 20:")


def test_the_same_module_plays_in_a_notebook(live):
    page, faults = live(demos.gan_ring(), [])
    page.get_by_role("button", name="Play").click()
    finish(page)
    assert faults == []
    page.close()
