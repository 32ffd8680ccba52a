"""Same weights in, same weights out after training steps: three losses written anew.

No package of the test environment has these models, so the papers' own pseudocode is
written down a second time, as plain functions of dictionaries of weights.
"""

import math
from dataclasses import replace

import torch
from torch.func import functional_call

from mmdl_lib.core import generator
from mmdl_lib.models import byol, dino, swav

STEPS, RATE = 4, 0.05


def batches(kind, config):
    return [kind.example_batch(config, 8, generator=generator(i)) for i in range(STEPS)]


def split(module):
    """Trainable weights, and what BatchNorm counts, as two dictionaries of copies."""
    weights = {k: v.detach().clone() for k, v in module.named_parameters()}
    return weights, {k: v.clone() for k, v in module.named_buffers()}


def trained(model, views):
    """The library's way: loss, a step of plain gradient descent, after_step."""
    optimizer = torch.optim.SGD(model.trainable(), lr=RATE)
    for step, batch in enumerate(views):
        optimizer.zero_grad()
        model.loss(batch)["loss"].backward()
        optimizer.step()
        model.after_step(step)
    return model


def descend(loss, weights):
    """Weights after one step of gradient descent."""
    leaves = {k: w.detach().requires_grad_() for k, w in weights.items()}
    found = torch.autograd.grad(loss(leaves), list(leaves.values()))
    pairs = zip(leaves.items(), found, strict=True)
    return {k: w.detach() - RATE * g for (k, w), g in pairs}


def unit(x):
    return x / x.norm(dim=1, keepdim=True)


def test_byol_follows_the_pseudocode_of_appendix_j(agree):
    torch.manual_seed(0)
    model = byol.BYOL(replace(byol.TINY, tau=0.9, steps=6))
    views = batches(byol.BYOL, model.config)
    online, online_state = split(model.online)
    target, target_state = split(model.target)
    predictor, predictor_state = split(model.predictor)

    def forward(module, weights, state, x):
        # BatchNorm writes its counts into the dictionary of the state
        return functional_call(module, (weights, state), (x,))

    def loss(weights, target, batch):
        online = {k[1:]: w for k, w in weights.items() if k[0] == "o"}
        predictor = {k[1:]: w for k, w in weights.items() if k[0] == "p"}
        total = 0
        for own, other in (("view1", "view2"), ("view2", "view1")):
            z = forward(model.online, online, online_state, batch[own])
            q = forward(model.predictor, predictor, predictor_state, z)
            with torch.no_grad():
                goal = forward(model.target, target, target_state, batch[other])
            total = total + ((unit(q) - unit(goal)) ** 2).sum(1).mean()
        return total

    for k, batch in enumerate(views):
        both = {"o" + n: w for n, w in online.items()}
        both |= {"p" + n: w for n, w in predictor.items()}
        both = descend(lambda w, t=target, b=batch: loss(w, t, b), both)
        online = {n[1:]: w for n, w in both.items() if n[0] == "o"}
        predictor = {n[1:]: w for n, w in both.items() if n[0] == "p"}
        tau = 1 - (1 - 0.9) * (math.cos(math.pi * k / 6) + 1) / 2
        target = {n: w + (1 - tau) * (online[n] - w) for n, w in target.items()}
    ours = trained(model, views)
    peers = {"ours": "mmdl_lib.models.byol.BYOL", "package": "torch"}
    peers["reference"] = "pseudocode of the paper, as functions"
    for name, module, weights in (
        ("online", ours.online, online),
        ("target", ours.target, target),
        ("predictor", ours.predictor, predictor),
    ):
        mine = torch.cat([p.detach().flatten() for p in module.parameters()])
        other = torch.cat([w.flatten() for w in weights.values()])
        agree(f"BYOL {name}, 4 steps", mine, other, tolerance=1e-5, **peers)


def test_swav_follows_algorithm_1(agree):
    torch.manual_seed(0)
    model = swav.SwAV(replace(swav.TINY, epsilon=0.05))  # the paper's
    views = batches(swav.SwAV, model.config)
    weights, state = split(model)

    def sinkhorn(score, eps=0.05, count=3):
        q = (score.double() / eps).exp().T
        q = q / q.sum()
        for _ in range(count):
            q = q / q.sum(1, keepdim=True) / len(q)
            q = q / q.sum(0, keepdim=True) / q.shape[1]
        return (q / q.sum(0, keepdim=True)).T.float()

    def loss(weights, batch):
        one, other = (
            functional_call(model, (weights, state), (batch[v],))
            for v in ("view1", "view2")
        )
        with torch.no_grad():
            q1, q2 = sinkhorn(one), sinkhorn(other)
        p1, p2 = (one / 0.1).softmax(1), (other / 0.1).softmax(1)
        return -0.5 * (q1 * p2.log() + q2 * p1.log()).sum(1).mean()

    for batch in views:
        weights = descend(lambda w, b=batch: loss(w, b), weights)
        weights["prototypes"] = unit(weights["prototypes"])
    mine = torch.cat([p.detach().flatten() for p in trained(model, views).parameters()])
    other = torch.cat([w.flatten() for w in weights.values()])
    agree(
        "SwAV weights, 4 steps",
        mine,
        other,
        ours="mmdl_lib.models.swav.SwAV",
        package="torch",
        reference="pseudocode of the paper, as functions",
        tolerance=1e-5,
    )


def test_dino_follows_algorithm_1(agree):
    torch.manual_seed(0)
    model = dino.DINO(replace(dino.TINY, momentum=0.9))
    views = batches(dino.DINO, model.config)
    student, student_state = split(model.student)
    teacher, teacher_state = split(model.teacher)
    center = torch.zeros(64)

    def h(t, s, center):
        t = ((t - center) / 0.04).softmax(1)
        return -(t * (s / 0.1).softmax(1).log()).sum(1).mean()

    for batch in views:
        x1, x2 = batch["view1"], batch["view2"]
        with torch.no_grad():
            t1, t2 = (
                functional_call(model.teacher, (teacher, teacher_state), (x,))
                for x in (x1, x2)
            )

        def loss(student, x1=x1, x2=x2, t1=t1, t2=t2, center=center):
            s1, s2 = (
                functional_call(model.student, (student, student_state), (x,))
                for x in (x1, x2)
            )
            return h(t1, s2, center) / 2 + h(t2, s1, center) / 2

        student = descend(loss, student)
        teacher = {n: 0.9 * w + 0.1 * student[n] for n, w in teacher.items()}
        center = 0.9 * center + 0.1 * torch.cat([t1, t2]).mean(0)
    ours = trained(model, views)
    peers = {"ours": "mmdl_lib.models.dino.DINO", "package": "torch"}
    peers["reference"] = "pseudocode of the paper, as functions"
    for name, module, weights in (
        ("student", ours.student, student),
        ("teacher", ours.teacher, teacher),
    ):
        mine = torch.cat([p.detach().flatten() for p in module.parameters()])
        other = torch.cat([w.flatten() for w in weights.values()])
        agree(f"DINO {name}, 4 steps", mine, other, tolerance=1e-4, **peers)
    agree("DINO center, 4 steps", ours.center.center, center, tolerance=1e-5, **peers)
