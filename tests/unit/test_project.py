"""One folder of the user's own holds settings, rules and sources, by a flag or a variable."""

from __future__ import annotations

from pathlib import Path

import pytest

from jobs.landing.sources import Source
from jobs.setup.config_layers import load_config
from jobs.setup.exits import UsageError
from tests.support.world import call

FEATURE = """
[[joint.more]]
name = "campaign"
scope = "request"
encoding = "identity"
inputs = ["attributes.campaign"]
prior = {}
why = "campaigns differ"
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project with settings of its own and a source with more."""
    source = tmp_path / "ours" / "sources" / "shop"
    source.mkdir(parents=True)
    (tmp_path / "ours" / "settings.toml").write_text(
        '[source]\nname = "shop"\n[sampling]\nratio = 7.0\nsalt = "ours"\n' + FEATURE.format(0.1)
    )
    (source / "source.toml").write_text(
        'what = "a shop"\n[views.shown]\npath = "shown/{ds}/*.csv"\n'
        '[logs.impressions]\nviews = ["shown"]\n'
    )
    (source / "impressions.sql").write_text("SELECT * FROM shown")
    (source / "settings.toml").write_text('[sampling]\nsalt = "shop"\n' + FEATURE.format(0.3))
    return tmp_path / "ours"


def test_settings_of_the_project_are_below_those_of_its_source_and_above_the_defaults(
    project: Path,
) -> None:
    config = load_config(environment={"PROMOTED_CTR_PROJECT": str(project)})
    assert (config.sampling.ratio, config.sampling.salt) == (7.0, "shop")
    assert [(one.name, one.prior) for one in config.joint.more] == [("campaign", 0.3)]
    typed = load_config(
        settings=[f"storage.project={str(project)!r}", "sampling.ratio=9"], environment={}
    )
    assert (typed.sampling.ratio, typed.source.name) == (9.0, "shop")


def test_a_source_is_found_by_its_name_in_the_project_first(project: Path, tmp_path: Path) -> None:
    config = load_config(settings=[f"storage.project={str(project)!r}"], environment={})
    assert Source.of(config).directory == project / "sources" / "shop"
    (project / "sources" / "shop").rename(project / "sources" / "canonical")
    assert Source.load("canonical", tmp_path, str(project)).spec.what == "a shop"
    with pytest.raises(UsageError, match=r"no source 'shop'.*canonical, open_bandit"):
        Source.load("shop", tmp_path, str(project))


def test_the_flag_wins_over_the_variable_and_a_folder_that_is_not_there_is_told(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PROMOTED_CTR_PROJECT", "/nowhere")
    called = call(["config"])
    assert (called.code, "project /nowhere is not there" in called.err) == (2, True)
    called = call(["config", "--project", str(project)])
    assert called.code == 0, called.err
    assert '"salt": "shop"' in called.out
