import json

import pytest

from copycat_jax.config import Config
from copycat_jax.errors import UserError
from copycat_jax.train.config import Experiment, MeshConfig, OptimizerConfig, TrainConfig, completed


def test_an_experiment_is_complete_although_it_states_differences():
    page = Experiment(
        task="m:f",
        model=Config(),
        data=Config(),
        optimizer=OptimizerConfig(lr=0.5),
        groups={"adversary": {"lr": 0.1}},
    )
    fields = page.to_dict()
    assert fields["optimizer"] == {**OptimizerConfig(lr=0.5).to_dict(), "adversary": {"lr": 0.1}}
    assert fields["train"] == TrainConfig().to_dict() and fields["mesh"] == MeshConfig().to_dict()
    assert completed(fields) == fields and json.loads(json.dumps(fields)) == fields


def test_the_trainers_own_sections_are_completed():
    whole = completed({"task": "x", "train": {"steps": 3}, "optimizer": {"adversary": {"b1": 0.0}}})
    assert whole["train"] == TrainConfig(steps=3).to_dict() and whole["task"] == "x"
    assert whole["optimizer"] == {**OptimizerConfig().to_dict(), "adversary": {"b1": 0.0}}  # inherits what is shared
    assert whole["mesh"] == MeshConfig().to_dict()
    for wrong, message in (
        ({"train": {"stepz": 1}}, "Did you mean 'steps'"),
        ({"train": {"steps": 0}}, r"train\.steps: 0"),
        ({"mesh": {"fspd": 2}}, "Did you mean 'fsdp'"),
        ({"optimizer": {"name": "sgd"}}, r"optimizer\.name: 'sgd'. Choose one of adam, adamw"),
    ):
        with pytest.raises(UserError, match=message):
            completed(wrong)
