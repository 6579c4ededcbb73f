"""A loaded version, answering calls: decode, run what may run together, encode. Synchronous, without sockets, safe against any body."""

from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
import numpy as np
from msgspec.structs import replace

from registry_client.manifest import Manifest, TensorSpec, Wire
from serving.dataplane.address_space import memory_limit
from serving.dataplane.batching import grouped, joined, parted, slices
from serving.dataplane.codec_v2 import InferCodec
from serving.dataplane.comparison import Outcome, compare
from serving.dataplane.components.transform import Tensors
from serving.dataplane.compression import inflate
from serving.dataplane.contract import Contract
from serving.dataplane.environments.recipe import needs_environment
from serving.dataplane.fault_log import FaultLog
from serving.dataplane.faults import BadInput, CallRefused, LoadFailed, ModelFault, NotSupported, TooLarge
from serving.dataplane.hosting.host import ComponentHost, HostPlan
from serving.dataplane.memory import MIB, load_allowance
from serving.dataplane.pipeline import Pipeline, open_pipeline
from serving.dataplane.plain import PlainCodec
from serving.dataplane.runtimes import refuse_other_runtimes
from serving.dataplane.sorting import Sorter
from serving.dataplane.work import Work
from serving.ports import NO_JSON_PART, Call, CallKind, Encoding, Failure, Reply

INFLATE_CAP = 64 * 1024 * 1024
OUT_OF_MEMORY = "bad_alloc"
"""How onnxruntime says that there is no more memory."""
BATCH_BYTES = 16 * 1024 * 1024
"""Bytes of inputs joined into one run."""

_STATUS: dict[type[CallRefused], int] = {BadInput: 400, TooLarge: 413, NotSupported: 501}


class VersionEngine:
    """One version in this process. Build it with `open_engine`."""

    def __init__(self, manifest: Manifest, contract: Contract, pipeline: Pipeline, *, inflate_cap: int = INFLATE_CAP) -> None:
        self._name = f"{manifest.family}@{manifest.version}"
        self._faults = FaultLog(self._name)
        self._contract = contract
        self._pipeline = pipeline
        self._max_rows = manifest.serving.max_batch
        self._inflate_cap = inflate_cap
        self._infer = InferCodec(contract, model_name=manifest.family, model_version=manifest.version)
        self._plain = PlainCodec(contract)
        self._sorter = Sorter(contract)
        self._takes_tensors = Wire.TENSOR in manifest.interface.promised
        self._metadata = _metadata(manifest)
        self._inflated = 0

    def metadata(self) -> bytes:
        """The version's interface as the v2 model metadata document."""
        return self._metadata

    def run(self, calls: Sequence[Call]) -> list[Reply]:
        """Answer calls that arrived together, in their order; one call's error is its own. The last ones may be left for another run."""
        replies: list[Reply | None] = [None] * len(calls)
        self._inflated = 0
        works: list[Work] = []
        taken = len(calls)
        with np.errstate(over="raise"):  # how a float beyond its datatype's range is noticed
            for index, call in enumerate(calls):
                decoded = self._decode(call)
                if isinstance(decoded, Work):
                    decoded.index = index
                    if call.sorting:
                        decoded.sorting, decoded.asked = call.sorting, hash(call.body)
                    works.append(decoded)
                else:
                    replies[index] = decoded
                if call.encoding and self._inflated >= self._inflate_cap:  # 30 kB may become all of it, and 256 calls may have come
                    taken = index + 1
                    break
        for work, reply in self._answers(works):
            replies[work.index] = reply
        return [_finished(call, reply) for call, reply in zip(calls[:taken], replies[:taken], strict=True)]

    # --- reading ---

    def _decode(self, call: Call) -> Work | Reply:
        try:
            return self._understand(call)
        except CallRefused as refusal:
            return Reply(_STATUS[type(refusal)], _error(str(refusal)), failure=Failure.CLIENT)
        except Exception as error:  # noqa: BLE001 - the top of a request: whatever it is, only this call fails, and it is logged
            return self._unforeseen(error)

    def _understand(self, call: Call) -> Work | Reply:
        body = call.body if call.encoding is Encoding.IDENTITY else self._inflate(call)
        match call.kind:
            case CallKind.INFER:
                if not self._takes_tensors:
                    msg = f"{self._name} does not promise the tensor wire: send plain JSON to the predict call"
                    raise NotSupported(msg)
                return self._infer.decode(body, call.json_length)
            case CallKind.PREDICT:
                return self._plain.decode(body)
            case CallKind.METADATA:
                return Reply(200, self._metadata)

    def _inflate(self, call: Call) -> bytes:
        self._inflated += self._inflate_cap  # what it costs where it is refused
        body = inflate(call.body, call.encoding, cap=self._inflate_cap)
        self._inflated += len(body) - self._inflate_cap
        return body

    # --- running ---

    def _answers(self, works: Sequence[Work]) -> list[tuple[Work, Reply]]:
        if len(works) == 1 or not self._pipeline.is_batchable:
            return [(work, self._answer_alone(work)) for work in works]
        answers: list[tuple[Work, Reply]] = []
        for group in grouped(works, max_rows=self._max_rows, max_bytes=BATCH_BYTES):
            answers.extend(zip(group, self._answer_group(group), strict=True))
        return answers

    def _answer_group(self, group: Sequence[Work]) -> list[Reply]:
        if len(group) == 1:
            return [self._answer_alone(group[0])]
        try:
            outputs = self._pipeline.run(joined(group), group[0].outputs, sum(work.rows or 0 for work in group))
        except Exception:  # noqa: BLE001 - alone, each shows whether it was the culprit, and the culprit is logged
            return [self._answer_alone(work) for work in group]
        return [self._encode(work, own) for work, own in zip(group, parted(outputs, group), strict=True)]

    def _answer_alone(self, work: Work) -> Reply:
        try:
            return self._encode(work, self._run_alone(work))
        except ModelFault as fault:
            return self._faulted(work, fault)
        except Exception as error:  # noqa: BLE001 - the top of a request: whatever it is, only this call fails, and it is logged
            return self._unforeseen(error)

    def _run_alone(self, work: Work) -> Tensors:
        if not self._pipeline.is_batchable or work.rows is None or work.rows <= self._max_rows:
            return self._pipeline.run(work.tensors, work.outputs, work.rows)
        runs = [self._pipeline.run(part, work.outputs, rows) for part, rows in slices(work.tensors, work.rows, max_rows=self._max_rows)]
        return {name: np.concatenate([run[name] for run in runs]) for name in work.outputs}

    # --- answering ---

    def _encode(self, work: Work, outputs: Tensors) -> Reply:
        try:
            reply = work.form.encode(outputs)
            return replace(reply, said=self._sorter.said(outputs, work.sorting, work.asked)) if work.sorting else reply
        except ModelFault as fault:
            return self._faulted(work, fault)
        except Exception as error:  # noqa: BLE001 - the top of a request: whatever it is, only this call fails, and it is logged
            return self._unforeseen(error)

    def _faulted(self, work: Work, fault: ModelFault) -> Reply:
        if any(tensor.size == 0 for tensor in work.tensors.values()):
            # an empty tensor is legal on the wire, but many graphs cannot take one: no reason to blame the version
            return Reply(400, _error(f"{self._name} does not take empty tensors: send at least one row"), failure=Failure.CLIENT)
        self._faults.add(fault.stage, fault.detail, fault.__cause__)
        return Reply(500, _error(f"{self._name} failed on this request in {fault.stage}"), failure=Failure.MODEL)

    def _unforeseen(self, error: Exception) -> Reply:
        self._faults.add("the engine", str(error), error)
        return Reply(500, _error(f"{self._name} failed on this request"), failure=Failure.MODEL)


def open_engine(
    manifest: Manifest, path_of: Callable[[str], Path], *, inflate_cap: int = INFLATE_CAP, python: Path | None = None
) -> VersionEngine:
    """Load a version whose digests are verified. `path_of`: where a bundle path lies on this machine. Raises `LoadFailed`.

    `python`: the interpreter of the environment that locked Python components run in. What loading takes in memory is limited, by
    `serving.mem_mb` where the manifest says it.
    """
    refuse_other_runtimes(manifest.serving.runtime)
    allowance = load_allowance(manifest)
    host = _host(manifest, python, allowance)
    try:
        with memory_limit(allowance):
            contract, pipeline = open_pipeline(manifest, path_of, host)
    except LoadFailed as error:
        if OUT_OF_MEMORY not in str(error):
            raise
        raise LoadFailed(_too_large(manifest, allowance)) from error
    except MemoryError as error:
        raise LoadFailed(_too_large(manifest, allowance)) from error
    return VersionEngine(manifest, contract, pipeline, inflate_cap=inflate_cap)


def _host(manifest: Manifest, python: Path | None, allowance: int) -> ComponentHost | None:
    if not needs_environment(manifest):
        return None
    if python is None:
        reason = f"{manifest.family}@{manifest.version} has locked components, and no environment was built for them"
        raise LoadFailed(reason)
    return ComponentHost(HostPlan(python, manifest.serving.cpu, allowance))


def _too_large(manifest: Manifest, allowance: int) -> str:
    stated = "serving.mem_mb says" if manifest.serving.mem_mb is not None else "serving.mem_mb says nothing, which means"
    return f"{manifest.family}@{manifest.version} takes more memory than it may while it loads: {stated} {allowance // MIB} MiB in all"


def _finished(call: Call, reply: Reply | None) -> Reply:
    if reply is None:  # pragma: no cover - every work is answered
        reply = Reply(500, _error("the call was not answered"), failure=Failure.MODEL)
    if call.mirror is None:
        return reply
    outcome = Outcome.ERROR if reply.status != 200 else compare(call.kind, call.mirror, reply)  # noqa: PLR2004
    word = outcome.value.encode()
    is_shown = call.mirror.is_shown and outcome is not Outcome.AGREE
    return Reply(200, word + b"\n" + _json_part(reply) if is_shown else word, said=reply.said)


def _json_part(reply: Reply) -> bytes:
    return reply.body if reply.json_length == NO_JSON_PART else reply.body[: reply.json_length]


def _error(message: str) -> bytes:
    return msgspec.json.encode({"error": message})


def _metadata(manifest: Manifest) -> bytes:
    document = {
        "name": manifest.family,
        "versions": [manifest.version],
        "platform": "onnx_onnxv1",
        "inputs": [_described(spec) for spec in manifest.interface.inputs],
        "outputs": [_described(spec) for spec in manifest.interface.outputs],
    }
    return msgspec.json.encode(document)


def _described(spec: TensorSpec) -> dict[str, object]:
    return {"name": spec.name, "datatype": spec.datatype.value, "shape": list(spec.shape)}
