"""Which weights the subjects of a study need, and which of them are not here."""

from __future__ import annotations

from neurofer.studies.study import Study


def lacking_weights(study: Study) -> dict[str, list[str]]:
    """Return the weights that are not in the cache, and the subjects that need them, by name.

    Only subjects that an analysis uses count. Weight files that an option names are not looked for.
    """
    from neurofer.subjects.registry import subject_factory
    from neurofer.subjects.weight_files.sources import SOURCES, weights_path

    used = {name for item in study.analyses for name in item.subjects}
    lacking: dict[str, list[str]] = {}
    for name, spec in study.subjects.items():
        if name not in used or spec.recording is not None:
            continue
        defaults = getattr(subject_factory(spec.subject), "defaults", {})
        options = {**defaults, **spec.options}
        told = options.get("landmarks") == "ground-truth"  # then no features are needed
        for weights in (spec.subject, None if told else options.get("trunk")):
            if weights in SOURCES and not weights_path(weights).is_file():
                lacking.setdefault(weights, []).append(name)
    return lacking
