"""What a result says of its making.

In its attributes stand `recipe`, a study of one cell, and `decided_by`, the hashes of all that
decided it: subject, weights, stimuli, options, code and versions.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from neurofer.studies.cell import ResultKey
from neurofer.studies.study import RECORDED, Study

if TYPE_CHECKING:
    import xarray as xr

RECIPE, DECIDED = "recipe", "decided_by"


def with_recipe(
    result: xr.Dataset, study: Study, key: ResultKey, decided: Mapping[str, Any]
) -> xr.Dataset:
    """Return the result with the study of its one cell, and what decided it.

    Args:
        result: of an analysis.
        study: in which it was made.
        key: which result of the study.
        decided: hashes of all that decided it, by name.
    """
    made = {RECIPE: recipe_of(study, key), DECIDED: dict(decided)}
    said = {name: json.dumps(one, sort_keys=True, default=str) for name, one in made.items()}
    return result.assign_attrs(said)


def recipe_of(study: Study, key: ResultKey) -> dict[str, Any]:
    """Return the study of one result, as plain values."""
    item, subject = study.analysis(key.analysis), study.subjects[key.subject]
    names = {key.stimuli} - {RECORDED}
    if subject.training is not None and subject.training.stimuli is not None:
        names.add(subject.training.stimuli)
    own = item.model_copy(
        update={
            "stimuli": tuple(name for name in (key.stimuli,) if name != RECORDED),
            "subjects": (key.subject,),
        }
    )
    part = Study(
        name=study.name,
        title=study.title,
        seed=study.seed,
        stimuli={name: spec for name, spec in study.stimuli.items() if name in names},
        subjects={key.subject: subject},
        analyses=(own,),
    )
    return part.model_dump(mode="json", exclude_defaults=True)
