"""A judgement of the semver gate as a document, for scripts and for people."""

import msgspec

from registry_client.compatibility.judgement import STEPS, Comparison, Judgement, waived
from registry_client.compatibility.rules import Change
from registry_client.compatibility.upgrade import Delta, Upgrade
from registry_client.errors import BumpTooSmall
from registry_client.manifest import Manifest
from serving.cli.output import Json


def judgement_document(manifest: Manifest, judgement: Judgement) -> Json:
    """The judgement as JSON: the step that was declared, the one that is needed, and every change with its rule."""
    refusal = judgement.forbids
    return {
        "declared": judgement.change.declared,
        "needed": judgement.change.computed_min,
        "allowed": refusal is None,
        "suggested": refusal.suggested if isinstance(refusal, BumpTooSmall) else None,
        "waivers": [msgspec.to_builtins(waiver) for waiver in manifest.change.waivers],
        "comparisons": [comparison_document(manifest, comparison) for comparison in judgement.comparisons],
    }


def comparison_document(manifest: Manifest, comparison: Comparison) -> Json:
    """What changed from one baseline."""
    return {
        "version": str(comparison.baseline.version),
        "digest": comparison.digest,
        "tags": sorted(comparison.baseline.tags),
        "declared": STEPS[comparison.declared],
        "was_run": comparison.was_run,
        "changes": [{**change_document(change), "waived": waived(manifest, change)} for change in comparison.changes],
    }


def change_document(change: Change) -> Json:
    """One change with its rule."""
    needs = None if change.rule.is_refusal else STEPS[change.needs]
    return {"rule": change.rule.id, "area": change.rule.area.value, "needs": needs, "text": change.text}


def upgrade_document(family: str, found: Upgrade) -> Json:
    """Two versions side by side, as the admin API tells it."""
    return {
        "family": family,
        "from_version": found.old,
        "to_version": found.new,
        "declared": STEPS[found.declared],
        "evaluation": [delta_document(delta) for delta in found.deltas],
    }


def delta_document(delta: Delta) -> Json:
    """One figure of both versions."""
    return {
        "dataset": delta.dataset,
        "metric": delta.metric,
        "slice": delta.slice,
        "before": delta.before,
        "after": delta.after,
        "difference": delta.difference,
        "primary": delta.is_primary,
        "clear": delta.is_clear,
    }
