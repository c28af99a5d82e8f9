"""What the official layers of MTS3 and its baselines compute, to 1e-9 in double precision: values and gradients.

The vectors were made by running the official code (`reference/mts3/README.md`); they hold inputs, weights and outputs.
"""

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.func import functional_call

from tdlib.evaluation.sliding import FLOOR, rmse, sliding_nll, sliding_rmse
from tdlib.models.beliefs import (
    MTS3,
    AcRKN,
    Belief,
    BeliefDecoder,
    BeliefOptions,
    Dynamics,
    GaussianEncoder,
    HiPRSSM,
    HiPRSSMOptions,
    MTS3Options,
    RecurrentBaseline,
    Transition,
    aggregate,
    condition,
    condition_whole,
    evidence,
    negative_log_likelihood,
)
from tdlib.models.beliefs.recurrent import GRUMemory, LSTMMemory
from tdlib.models.beliefs.windows import StepWindows

FOLDER = Path(__file__).parent / "reference" / "mts3"
FILES = {path.stem: path for path in sorted(FOLDER.glob("*.npz"))}
MEMORIES = {"gru": GRUMemory, "lstm": LSTMMemory}
CLOSE = dict(rtol=1e-9, atol=1e-9)
SUMMED = ("submanager", "worker_v2")  # official layers that keep the covariance of an abstract action


def load(name):
    with np.load(FILES[name]) as arrays:
        return {key: torch.from_numpy(np.asarray(array)) for key, array in arrays.items()}


def names(*pattern):
    return [name for name in FILES if name.startswith(pattern)]


def belief(arrays, of):
    """A stored belief; a side covariance may be stored once for all rows."""
    mean, parts = arrays[f"{of}_mean"], [arrays[f"{of}_{part}"] for part in "uls"]
    return Belief(mean, torch.cat([part.expand(parts[0].shape) for part in parts], dim=-1))


def near(found, arrays, of):
    torch.testing.assert_close(found, belief(arrays, of), **CLOSE)


# --- weights in our names -------------------------------------------------------------------------------------------


def blocks(arrays, prefix):
    rows = [torch.cat([arrays[f"{prefix}{i}1"], arrays[f"{prefix}{i}2"]], dim=1) for i in "12"]
    return torch.cat(rows, dim=0)


def layers(arrays, prefix, ours):
    """Linear layers and layer norms by (official ending, our name); those that are not there are left out."""
    found = {}
    for theirs, own in ours.items():
        kind = ("g", "b") if theirs == "ln_" else (f"W{theirs}", f"b{theirs}")
        weight, bias = (f"{prefix}{theirs if theirs == 'ln_' else ''}{part}" for part in kind)
        if weight in arrays:
            found |= {f"{own}.weight": arrays[weight], f"{own}.bias": arrays[bias]}
    return found


def encoder(arrays, prefix="", norm="post"):
    return layers(arrays, prefix, {"1": "hidden", "m": "mean", "v": "variance", "ln_": norm})


def decoder(arrays, prefix="dec_"):
    both = ((f"{prefix}m_", "mean"), (f"{prefix}v_", "variance"))
    return {
        key: x for theirs, own in both for key, x in layers(arrays, theirs, {"1": f"{own}.0", "2": f"{own}.2"}).items()
    }


def transition(arrays, prefix=""):
    found = {"dynamics.matrices": blocks(arrays, f"{prefix}A").unsqueeze(0), "raw_noise": arrays[f"{prefix}q_raw"]}
    for theirs, own in (("B", "abstract_action"), ("C", "task")):
        if f"{prefix}{theirs}11" in arrays:
            found[f"matrices.{own}"] = blocks(arrays, prefix + theirs)
    return found | layers(arrays, f"{prefix}ctl_", {"1": "control.0", "ln_": "control.2", "2": "control.3"})


def under(place, weights):
    return {f"{place}.{name}": x for name, x in weights.items()}


def fast(arrays):
    parts = {"observation": encoder(arrays, "fo_"), "decoder": decoder(arrays), "transition": transition(arrays, "w_")}
    return {key: x for place, weights in parts.items() for key, x in under(f"fast.{place}", weights).items()}


def slow(arrays):
    parts = {"observations": "fb_", "actions": "fa_"}
    found = {key: x for place, theirs in parts.items() for key, x in under(place, encoder(arrays, theirs)).items()}
    return under("slow.0", found | under("transition", transition(arrays, "m_")))


def called(module, weights, *arguments):
    """Call a module with weights in place of its own: all of them, and no others."""
    assert set(weights) == {name for name, _ in module.named_parameters()}
    return functional_call(module.double(), weights, arguments)


# --- the files --------------------------------------------------------------------------------------------------------


def test_the_files_are_those_of_the_manifest():
    manifest = json.loads((FOLDER / "MANIFEST.json").read_text(encoding="utf-8"))["files"]
    assert len(FILES) == 43 and set(manifest) == {path.name for path in FILES.values()}
    for path in FILES.values():
        assert hashlib.sha256(path.read_bytes()).hexdigest() == manifest[path.name]["sha256"], path.name


@pytest.mark.parametrize("name", names("update_"))
def test_conditioning(name):
    arrays = load(name)
    valid = arrays["obs_valid"].squeeze(-1) if "obs_valid" in arrays else None
    rule = condition_whole if name.startswith("update_ba") else condition
    seen = aggregate(evidence(arrays["obs_mean"], arrays["obs_var"], valid))
    near(rule(belief(arrays, "prior"), seen), arrays, "post")


@pytest.mark.parametrize("name", names("predict_"))
def test_marginalization(name):
    arrays = load(name)
    causes = {
        ours: theirs for ours, theirs in (("abstract_action", "absact"), ("task", "task")) if f"{theirs}_mean" in arrays
    }
    d, actions, weights = arrays["state_u"].shape[-1], arrays.get("action"), transition(arrays)
    action_dim = 0 if actions is None else actions.shape[-1]
    hidden = weights["control.0.weight"].shape[0] if action_dim else 1

    def following(without_covariance):
        module = Transition(Dynamics(d), d, tuple(causes), action_dim, hidden, without_covariance).double()
        module.load_state_dict(weights)
        effects = module.effects({ours: belief(arrays, theirs) for ours, theirs in causes.items()})
        return module.prepared()(belief(arrays, "state"), module.controlled(effects, actions))

    kept = any(word in name for word in SUMMED)
    near(following(() if kept else ("abstract_action",)), arrays, "next")
    if "summed_next_u" in arrays:  # what the rule says, where the official code leaves a covariance out
        summed = Belief(arrays["next_mean"], torch.cat([arrays[f"summed_next_{part}"] for part in "uls"], dim=-1))
        torch.testing.assert_close(following(()), summed, **CLOSE)


@pytest.mark.parametrize("name", names("encoder_"))
def test_encoders(name):
    arrays, (_, norm, variance) = load(name), name.split("_")
    mean, spread = called(GaussianEncoder(5, 9, 4, norm, variance), encoder(arrays, norm=norm), arrays["x"])
    torch.testing.assert_close((mean, spread), (arrays["mean"], arrays["var"]), **CLOSE)


@pytest.mark.parametrize("name", names("decoder_"))
def test_decoders(name):
    arrays = load(name)
    found = called(BeliefDecoder(3, 11, 2, name.split("_")[1]), decoder(arrays, ""), belief(arrays, "z"))
    torch.testing.assert_close(found, (arrays["out_mean"], arrays["out_var"]), **CLOSE)


@pytest.mark.parametrize("name", names("time_embedding"))
def test_the_time_feature(name):
    expected = load(name)["emb"]
    count = len(expected)
    found = StepWindows(count, 2 * count, expected).with_time(expected.new_zeros(2, 2 * count, 1))[1, :, 1]
    torch.testing.assert_close(found, expected.repeat(2), **CLOSE)


@pytest.mark.parametrize("name", names("metrics"))
def test_losses_and_errors(name):
    arrays = load(name)
    target, mean, variance = arrays["target"], arrays["pred_mean"], arrays["pred_var"]
    window, num_bins = int(arrays["window"]), int(arrays["num_bins"])
    total, joint = rmse(target, mean)
    found = {
        "train_nll": negative_log_likelihood(target, mean, variance).mean(),
        "train_mse": torch.tensor(total**2, dtype=torch.float64),
        "eval_rmse": torch.tensor(total, dtype=torch.float64),
        "joint_rmse": joint,
        "eval_nll": negative_log_likelihood(target, mean, variance, FLOOR).mean(),
    }
    steps, found["slide_rmse"] = sliding_rmse(target, mean, window, num_bins)
    assert steps.tolist() == arrays["slide_rmse_t"].tolist() == arrays["slide_nll_t"].tolist()
    for key, value in found.items():
        torch.testing.assert_close(value, arrays[key], **CLOSE)
    before = variance.clone()
    sliding = sliding_nll(target, mean, variance, window, num_bins)[1]
    assert torch.equal(variance, before)  # the official code adds its floor to the caller's
    torch.testing.assert_close(sliding, arrays["slide_nll"], rtol=0, atol=1e-5)  # there, floors of windows add up


def options(arrays, kind=BeliefOptions, **given):
    variance, _, side = arrays["init_state_cov"].tolist()
    widths = {"latent_dim": "fo_bm", "hidden_dim": "fo_b1", "control_hidden_dim": "w_ctl_b1", "set_hidden_dim": "fb_b1",
              "decoder_hidden_dim": "dec_m_b1"}  # fmt: skip
    widths = {ours: len(arrays[theirs]) for ours, theirs in widths.items() if theirs in arrays}
    return kind(**widths | given, initial_variance=variance, initial_side=side)


def sequence(arrays):
    return arrays["obs"], arrays["act"], arrays["obs_valid"].squeeze(-1)


def sizes(arrays):
    return arrays["obs"].shape[-1], arrays["act"].shape[-1]


def check(predicted, arrays):
    torch.testing.assert_close(predicted[:2], (arrays["out_mean"], arrays["out_var"]), **CLOSE)
    return negative_log_likelihood(arrays["target"], *predicted[:2]).mean()


@pytest.mark.parametrize("name", names("mts3_full"))
def test_mts3_and_its_gradients(name):
    arrays = load(name)
    leaves = {
        key.removeprefix("grad__"): arrays[key.removeprefix("grad__")] for key in arrays if key.startswith("grad__")
    }
    for leaf in leaves.values():
        leaf.requires_grad_()
    model = MTS3(*sizes(arrays), options(arrays, MTS3Options, windows=(int(arrays["H"]),)))
    found = called(model, fast(arrays) | slow(arrays), *sequence(arrays))
    loss, (tasks,) = check(found.predicted, arrays), found.tasks
    later = Belief(*(part[..., 1:, :] for part in tasks.priors))
    for of, own in (("task_post", tasks.posteriors), ("task_prior", later)):
        torch.testing.assert_close(tuple(own), (arrays[f"{of}_mean"], arrays[f"{of}_cov"]), **CLOSE)
    torch.testing.assert_close(tasks.abstract_actions.mean, arrays["absact_mean"], **CLOSE)
    torch.testing.assert_close(loss, arrays["loss"], **CLOSE)
    for key, gradient in zip(leaves, torch.autograd.grad(loss, list(leaves.values())), strict=True):
        torch.testing.assert_close(
            gradient, arrays[f"grad__{key}"], **CLOSE, msg=lambda text, key=key: f"{key}: {text}"
        )


@pytest.mark.parametrize("name", names("acrkn_full"))
def test_acrkn(name):
    arrays = load(name)
    model = AcRKN(*sizes(arrays), options(arrays, norm="post"))
    torch.testing.assert_close(check(called(model, fast(arrays), *sequence(arrays)), arrays), arrays["loss"], **CLOSE)


@pytest.mark.parametrize("name", names("hiprssm_full"))
def test_hip_rssm(name):
    arrays = load(name)
    own = options(
        arrays, HiPRSSMOptions, set_hidden_dim=len(arrays["ft_b1"]), context_length=int(arrays["context_len"])
    )
    model, weights = HiPRSSM(*sizes(arrays), own), fast(arrays) | under("pairs", encoder(arrays, "ft_"))
    torch.testing.assert_close(check(called(model, weights, *sequence(arrays)), arrays), arrays["loss"], **CLOSE)
    model.load_state_dict(weights)
    near(model.task(*(x[:, : own.context_length] for x in sequence(arrays))), arrays, "task")


@pytest.mark.parametrize("name", names("rnn_"))
def test_recurrent_baselines(name):
    arrays, cell = load(name), name.split("_")[1]
    weights = {
        key: x
        for theirs, own in (("fo_", "observation"), ("fa_", "action"), ("fj_", "joint"))
        for key, x in under(own, layers(arrays, theirs, {"1": "0", "m": "2"})).items()
    } | under("decoder", encoder(arrays, "dec_"))
    for theirs, own in (("ih", "input_gates"), ("hh", "memory_gates")):
        for part in ("weight", "bias"):
            x = arrays[f"rnn_{part}_{theirs}_l0"]
            if cell == "lstm":  # there (write, keep, candidate, show)
                write, keep, *others = x.chunk(4)
                x = torch.cat([keep, write, *others])
            weights[f"memory.{own}.{part}"] = x
    latent, memory = len(arrays["fo_bm"]), arrays["rnn_weight_hh_l0"].shape[-1]
    model = RecurrentBaseline(*sizes(arrays), MEMORIES[cell], latent, memory_dim=memory)
    found = called(model, weights, *sequence(arrays))
    torch.testing.assert_close(found, (arrays["out_mean"], arrays["out_var"]), **CLOSE)
