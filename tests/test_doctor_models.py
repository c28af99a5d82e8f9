"""Models of other programs for the doctor: TorchScript archives that only compute, and repairs as ONNX files."""

import io
import json
import pickle
import warnings
import zipfile

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from tdlib.data.sources.csv import export_csv
from tdlib.doctor import wrapper
from tdlib.doctor.command import load_model, main
from tdlib.doctor.plants import record
from tdlib.doctor.repair import WRAPPERS
from tdlib.speed.scripted import load_scripted

SPRING = "hard_spring"


class Spring(nn.Module):
    """One Euler step of the planted spring, its numbers as a weight."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.tensor([6.0, 3.0, 0.4, 2.0]))

    def forward(self, state: Tensor, action: Tensor, delta_t: Tensor) -> Tensor:
        w, q, v = self.weight, state[:, 0], state[:, 1]
        pull = -w[0] * q - w[1] * q**3 - w[2] * v + w[3] * action[:, 0]
        return state + delta_t.unsqueeze(-1) * torch.stack([v, pull], -1)


def scripted(module, path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.jit.save(torch.jit.script(module), str(path))
    return path


def rewritten(path, old, new):
    """The archive with other lines in its program; the rest is copied as it is."""
    other = path.with_name(f"other_{path.name}")
    with zipfile.ZipFile(path) as archive, zipfile.ZipFile(other, "w") as made:
        for entry in archive.infolist():
            data = archive.read(entry)
            if entry.filename.endswith(".py"):
                assert old.encode() in data
                data = data.replace(old.encode(), new.encode())
            made.writestr(entry.filename, data)
    return other


def test_a_torchscript_archive_is_asked_as_any_model(tmp_path, capsys):
    path, plain = scripted(Spring(), tmp_path / "spring.pt"), Spring()
    model = load_model(str(path))
    state, action, delta_t = torch.randn(2, 5, 2), torch.randn(5, 1), torch.tensor(0.1)
    flat = plain(state.reshape(10, 2), action.repeat(2, 1), torch.full((10,), 0.1))
    assert torch.equal(model(state, action, delta_t), flat.reshape(2, 5, 2))
    logs = export_csv(record(SPRING, 0, 0.0), tmp_path / "logs")
    assert main([str(path), str(logs), "--json", str(tmp_path / "out.json")]) in (0, 1)
    said = capsys.readouterr()
    assert said.out.startswith("Verdict: ") and "note: TorchScript is deprecated" in said.err
    assert json.loads((tmp_path / "out.json").read_text())["response"] == pytest.approx(1.5, abs=1e-3)


class Writes(nn.Module):
    def forward(self, state: Tensor, action: Tensor) -> Tensor:
        torch.save(state, "/tmp/never_written_by_the_doctor")
        return state


class Reads(nn.Module):
    def forward(self, state: Tensor, action: Tensor) -> Tensor:
        return state + torch.from_file("/etc/hostname", size=1)


class WakesUp(nn.Module):
    @torch.jit.export
    def __getstate__(self):
        return self.training

    @torch.jit.export
    def __setstate__(self, state: bool):
        self.training = state

    def forward(self, state: Tensor, action: Tensor) -> Tensor:
        return state


@pytest.mark.parametrize(("module", "word"), [(Writes, "save"), (Reads, "from_file"), (WakesUp, "__setstate__")])
def test_an_archive_that_does_more_than_compute_is_not_opened(tmp_path, monkeypatch, module, word):
    path = scripted(module(), tmp_path / "model.pt")
    monkeypatch.setattr(torch.jit, "load", lambda *a, **k: pytest.fail("it was opened"))
    with pytest.raises(ValueError, match=f"whose program only computes, got .*{word}"):
        load_scripted(path)


@pytest.mark.parametrize(
    "line", ['getattr(torch, "save")(state, "x")', "ops.mine.run(state)", "torch.ops.mine.run(state)"]
)
def test_other_ways_to_the_same_are_found(tmp_path, line):
    path = scripted(Spring(), tmp_path / "spring.pt")
    other = rewritten(path, "    return ", f"    _own = {line}\n    return ")
    with pytest.raises(ValueError, match="whose program only computes"):
        load_scripted(other)
    assert isinstance(load_scripted(rewritten(path, "torch.add", "torch.add")), nn.Module)


@pytest.mark.parametrize("trick", ["upper case", "twice", "a copy in upper case"])
def test_a_program_under_another_name_is_not_opened(tmp_path, monkeypatch, trick):
    """Torch reads entries whatever their case, and the first of two; what is read here must be what it runs."""
    bad = scripted(Writes(), tmp_path / "bad.pt")
    harmless = b"class Writes(Module):\n  __parameters__ = []\n"
    with zipfile.ZipFile(bad) as archive, zipfile.ZipFile(tmp_path / "made.pt", "w") as made:
        for entry in archive.infolist():
            if not entry.filename.endswith(".py"):
                made.writestr(entry.filename, archive.read(entry))
                continue
            name = entry.filename if trick == "twice" else entry.filename.replace(".py", ".PY")
            made.writestr(name, archive.read(entry))
            if trick != "upper case":
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore", UserWarning)  # of the second name, which is the trick
                    made.writestr(entry.filename, harmless)
    monkeypatch.setattr(torch.jit, "load", lambda *a, **k: pytest.fail("it was opened"))
    with pytest.raises(
        ValueError, match="only computes, got .*save" if trick == "upper case" else "names of their own"
    ):
        load_scripted(tmp_path / "made.pt")


def test_what_is_no_archive_is_said(tmp_path, capsys):
    logs = export_csv(record(SPRING, 0, 0.0), tmp_path / "logs")

    class Bomb:
        def __reduce__(self):
            return pytest.fail, ("a pickle was executed",)

    torch.save(Spring().state_dict(), tmp_path / "weights.pt")
    buffer = io.BytesIO()
    pickle.dump(Bomb(), buffer)
    (tmp_path / "pickle.pt").write_bytes(buffer.getvalue())
    with zipfile.ZipFile(tmp_path / "zipped.pt", "w") as archive:
        archive.writestr("m/constants.pkl", buffer.getvalue())
        archive.writestr("m/data.pkl", buffer.getvalue())
    for name, words in (("weights", "holds weights or a pickled module"), ("pickle", "TorchScript archive"),
                        ("zipped", "TorchScript archive"), ("gone", "TorchScript archive")):  # fmt: skip
        assert main([str(tmp_path / f"{name}.pt"), str(logs)]) == 2
        said = capsys.readouterr().err
        assert said.startswith("error: ") and words in said

    class Alone(nn.Module):
        def forward(self, state: Tensor) -> Tensor:
            return state

    with pytest.raises(ValueError, match="must take state, action and perhaps delta_t, got 1 inputs"):
        load_model(str(scripted(Alone(), tmp_path / "alone.pt")))


# --- repairs as ONNX ------------------------------------------------------------------------------------------------


def onnx_file(path, *, kinds=("FLOAT", "FLOAT", "FLOAT"), column=False, fixed=False, wrapped=False, bent="Sin"):
    """A step of the spring as a graph: of h where it has a third input, else of 0.1 s."""
    import onnx
    from onnx import TensorProto, helper

    real = [getattr(TensorProto, kind) for kind in kinds]
    shapes = (["N", 2], ["N", 1], ["N", 1] if column else ["N"])
    inputs = [helper.make_tensor_value_info(name, kind, shape)
              for name, kind, shape in zip(("x", "u", "h"), real, shapes, strict=True)]  # fmt: skip
    nodes = [
        helper.make_node("MatMul", ["x", "A"], ["moved"]),
        helper.make_node("Cast", ["u"], ["v"], to=real[0]),
        helper.make_node("MatMul", ["v", "B"], ["pushed"]),
        helper.make_node("Add", ["moved", "pushed"], ["rate"]),
        helper.make_node(bent, ["rate"], ["bent"]),
        helper.make_node("Cast", ["h"], ["k"], to=real[0]),
        helper.make_node("Reshape", ["k", "tall"], ["step"]),
        helper.make_node("Mul", ["bent", "step"], ["change"]),
        helper.make_node("Add", ["x", "change"], ["free" if wrapped else "y"]),
    ]
    if wrapped:  # the first state is an angle, answered within one turn
        nodes += [
            helper.make_node("Mul", ["free", "share"], ["turned"]),
            helper.make_node("Round", ["turned"], ["whole"]),
            helper.make_node("Mul", ["whole", "turn"], ["back"]),
            helper.make_node("Sub", ["free", "back"], ["y"]),
        ]
    constants = [
        helper.make_tensor("turn", real[0], [2], [2 * np.pi, 0.0]),
        helper.make_tensor("share", real[0], [2], [0.5 / np.pi, 0.0]),
        helper.make_tensor("A", real[0], [2, 2], [0.0, -6.0, 1.0, -0.4]),
        helper.make_tensor("B", real[0], [1, 2], [0.0, 2.0]),
        helper.make_tensor("tall", TensorProto.INT64, [2], [-1, 1]),
    ]
    if fixed:
        inputs.pop()
        constants.append(helper.make_tensor("h", real[2], [1], [0.1]))
    output = [helper.make_tensor_value_info("y", real[0], ["N", 2])]
    graph = helper.make_graph(nodes, "spring", inputs, output, constants)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path


@pytest.fixture(scope="module")
def runtime():
    pytest.importorskip("onnx", reason="the extra `onnx` is not installed")
    return pytest.importorskip("onnxruntime", reason="the extra `onnx` is not installed")


@pytest.mark.parametrize("repair", WRAPPERS)
@pytest.mark.parametrize(
    "options",
    [{}, {"column": True}, {"fixed": True}, {"wrapped": True}, {"kinds": ("DOUBLE", "FLOAT", "DOUBLE")}],
    ids=str,
)
def test_a_repair_as_onnx_is_that_of_numpy(runtime, tmp_path, repair, options):
    from tdlib.doctor.onnx_wrapper import write_wrapper

    h, single, angles = 0.1, options.get("kinds", ("FLOAT",))[0] == "FLOAT", [0] if "wrapped" in options else []
    path = onnx_file(tmp_path / "spring.onnx", **options)
    asked = load_model(str(path))
    state = np.random.default_rng(0).normal(size=(7, 2)).astype(np.float32 if single else np.float64)
    action = np.random.default_rng(1).normal(size=(7, 1)).astype(np.float32)
    if angles:
        state[:, 0] = np.linspace(3.0, 3.2, 7)

    def model(x, u):
        return asked(torch.from_numpy(x), torch.from_numpy(u), torch.tensor(h)).numpy()

    names = {"model": model}
    exec(wrapper(repair, h, angles), names)
    session = runtime.InferenceSession(str(write_wrapper(repair, h, path, tmp_path / "repaired.onnx", angles)))
    assert [each.name for each in session.get_inputs()] == ["state", "action", "delta_t"]
    for delta_t in ([0.02], [0.1], [0.25], [0.3], [1.0], [0.02, 0.1, 0.25, 0.3, 1.0, 0.17, 0.2]):
        given = {"state": state, "action": action, "delta_t": np.asarray(delta_t, state.dtype)}
        (found,) = session.run(None, given)
        expected = names["repaired"](state, action, delta_t)
        assert np.abs(found - expected).max() < 1e-6 * max(1, np.abs(expected).max()), delta_t


def test_the_command_writes_the_wrapper_around_the_models_own_graph(runtime, tmp_path, capsys):
    path = onnx_file(tmp_path / "spring.onnx", fixed=True, bent="Identity")
    logs = export_csv(record(SPRING, 0, 0.0), tmp_path / "logs")
    main([str(path), str(logs), "--train-delta-t", "0.1", "--out", str(tmp_path / "out")])
    said = capsys.readouterr().out
    assert f"Wrapper: {tmp_path / 'out' / 'repaired.onnx'}" in said
    assert runtime.InferenceSession(str(tmp_path / "out" / "repaired.onnx")).get_outputs()[0].name == "next_state"


def test_a_repair_that_does_not_exist_is_no_file(tmp_path):
    from tdlib.doctor.onnx_wrapper import write_wrapper

    with pytest.raises(ValueError, match="repair must be one of"):
        write_wrapper("wish", 0.1, tmp_path / "gone.onnx", tmp_path / "out.onnx")
