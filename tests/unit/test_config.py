"""Where a setting comes from, which win, and what a wrong one is told."""

import argparse
from datetime import date

import pytest

from jobs.commands.arguments import Parser, add_common, add_days, chosen_days, effective_config
from jobs.setup.config_layers import load_config
from jobs.setup.exits import UsageError


def load(files=(), settings=(), environment=None, env=None):
    return load_config(env=env, files=files, settings=settings, environment=environment or {})


@pytest.fixture
def toml(tmp_path):
    def write(text, name="own.toml"):
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        return path

    return write


@pytest.fixture
def own_source(tmp_path):
    """A source that brings settings; gives the setting that chooses it."""

    def write(text):
        folder = tmp_path / "own"
        folder.mkdir()
        (folder / "source.toml").write_text('what = "a source with settings"\n')
        (folder / "settings.toml").write_text(text)
        return f"source.name={str(folder)!r}"

    return write


class TestPrecedence:
    """base < environment < source < files < environment variables < --set."""

    def test_every_later_one_wins(self, toml, own_source, tmp_path, monkeypatch):
        from jobs.setup import config_layers
        from jobs.setup.environment import conf_directory

        (tmp_path / "base").symlink_to(conf_directory() / "base")
        (tmp_path / "env").mkdir()
        (tmp_path / "env" / "mine.toml").write_text("[sampling]\nratio = 11.0\n")
        monkeypatch.setattr(config_layers, "conf_directory", lambda: tmp_path)
        source = own_source("[sampling]\nratio = 12.0\n")
        first, second = (toml(f"[sampling]\nratio = {r}", f"{r}.toml") for r in ("13.0", "14.0"))
        variable = {"PROMOTED_CTR__SAMPLING__RATIO": "15"}
        steps = [
            load(env="mine"),
            load([], [source], env="mine"),
            load([first], [source], env="mine"),
            load([first, second], [source], env="mine"),
            load([first, second], [source], variable, env="mine"),
            load([first, second], [source, "sampling.ratio=16"], variable, env="mine"),
        ]
        assert [step.sampling.ratio for step in steps] == [11.0, 12.0, 13.0, 14.0, 15.0, 16.0]

    def test_a_setting_of_the_command_line_beats_one_of_the_source(self, own_source, tmp_path):
        own_source('[sampling]\nratio = 12.0\nsalt = "own"\n')
        config = effective_config(
            parse("--source", str(tmp_path / "own"), "--set", "sampling.ratio=16")
        )
        assert (config.sampling.ratio, config.sampling.salt) == (16.0, "own")

    def test_only_what_is_named_is_replaced(self, toml):
        base, own = load(), load([toml("[training.content]\nbits = 12\n")])
        assert own.training.content.bits == 12
        assert own.training.content.alpha == base.training.content.alpha
        assert own.training.historical == base.training.historical

    def test_lists_of_named_things_are_merged_by_name(self, toml, own_source):
        block = '[[joint.more]]\nname = "{}"\nscope = "request"\nencoding = "identity"\n'
        block += 'inputs = ["attributes.{}"]\nprior = {}\nwhy = "it differs"\n'
        source = own_source(block.format("site", "site", 0.2) + block.format("app", "app", 0.2))
        mine = toml('[[joint.more]]\nname = "app"\nprior = 0.5\n' + block.format("b", "b", 0.1))
        more = load([mine], [source]).joint.more
        assert [(one.name, one.prior) for one in more] == [("site", 0.2), ("app", 0.5), ("b", 0.1)]
        assert more[1].inputs == ("attributes.app",)
        with pytest.raises(UsageError, match="app is there twice"):
            load([toml(block.format("app", "a", 0.1) * 2, "twice.toml")])

    def test_other_variables_do_not_count(self):
        assert load(environment={"PROMOTED_CTR_HOME": "x", "SAMPLING__RATIO": "9"}) == load()

    def test_the_last_setting_wins(self):
        assert (
            load(settings=["labels.cutoff_hours=3", "labels.cutoff_hours=4"]).labels.cutoff_hours
            == 4
        )

    @pytest.mark.parametrize("text", ["a b", '"a b"'])
    def test_a_text_may_come_with_or_without_quotes(self, text):
        assert load(settings=[f"sampling.salt={text}"]).sampling.salt == "a b"

    def test_settings_of_spark_keep_their_dots_wherever_they_come_from(self):
        name = "spark.sql.shuffle.partitions"
        variable = {"PROMOTED_CTR__SPARK__SETTINGS__SPARK__SQL__SHUFFLE__PARTITIONS": "7"}
        assert load(environment=variable).spark.settings[name] == "7"
        setting = [f"spark.settings.{name}=9", "spark.settings.spark.ui.enabled=true"]
        found = load(settings=setting, environment=variable).spark.settings
        assert found == load().spark.settings | {name: "9", "spark.ui.enabled": "true"}

    @pytest.mark.parametrize("quote", ['"', "'"])
    def test_a_key_that_holds_dots_may_stand_in_quotes(self, quote):
        name = "spark.driver.extraJavaOptions"
        quoted = f"spark.settings.{quote}{name}{quote}=-Da=b -Dc=d"
        assert load(settings=[quoted]).spark.settings[name] == "-Da=b -Dc=d"
        assert load(settings=[quoted]) == load(settings=[quoted.replace(quote, "")])

    def test_the_last_setting_wins_with_quotes_and_without(self, toml):
        bare, quoted = "spark.settings.spark.x=bare", 'spark.settings."spark.x"=quoted'
        file = toml('[spark.settings]\n"spark.x" = "file"\n')
        for given, found in (([bare, quoted], "quoted"), ([quoted, bare], "bare"), ([], "file")):
            assert load([file], given).spark.settings["spark.x"] == found

    def test_a_value_may_hold_an_equals_sign(self):
        assert load(settings=["sampling.salt=a=b"]).sampling.salt == "a=b"


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        (["sampling.ratioo=1"], r"sampling\.ratioo: unknown key, do you mean sampling\.ratio\?"),
        (["nothing.x=1"], r"nothing: unknown key \(`promoted-ctr config` shows all\)"),
        (["sampling.ratio=0"], r"sampling\.ratio: .*greater than 0"),
        (["sampling.ratio=many"], r"sampling\.ratio: .*number"),
        (["labels.cutoff_hours=25"], r"labels\.cutoff_hours: .*less than or equal to 24"),
        (["sampling.ratio=nan"], r"sampling\.ratio"),
        (["sampling.ratio=inf"], r"sampling\.ratio"),
        (["sampling=3"], r"configuration: sampling: "),
        # Sections that the core declares are read as strictly as the others.
        (["publish=3"], r"configuration: publish: "),
        (["publish.min_ration=1"], r"publish\.min_ration: unknown key"),
        (["publish.min_ratio=0"], r"publish\.min_ratio: .*greater than 0"),
        (["labels.cutoff_hour=1"], r"labels\.cutoff_hour: unknown key"),
        (["training.level.day=inf"], r"training\.level\.day: .*finite"),
        (["training.content.hash_seed=3"], r"training\.content\.hash_seed: unknown key"),
        (["training.content.bits=7"], r"training\.content\.bits: .*greater than or equal to 8"),
        (["training.content.beta=0"], r"training\.content: FTRL needs .* beta \+ l2 > 0"),
        (["sampling.ratio"], r"--set takes section\.key=value"),
        (["=3"], r"--set takes section\.key=value"),
        (["sampling..ratio=3"], r"--set takes section\.key=value, the key as in TOML"),
        (['spark.settings."spark.x=3'], r"--set takes section\.key=value, the key as in TOML"),
    ],
)
def test_a_wrong_setting_is_named(settings, told):
    with pytest.raises(UsageError, match=told):
        load(settings=settings)


@pytest.mark.parametrize(
    ("given", "reports"),
    [
        (["storage.root=/a/w"], "/a/w/reports"),
        (["storage.root=s3://b/w"], "s3://b/w/reports"),
        (["storage.root=/a/w", "storage.reports=/c"], "/c"),
    ],
)
def test_reports_lie_in_the_warehouse_unless_a_place_is_named(given, reports):
    assert load_config(settings=given, environment={}).storage.reports == reports


def test_a_file_that_is_not_there_or_no_toml_is_named(toml, tmp_path):
    with pytest.raises(UsageError, match=r"absent\.toml is not there"):
        load([tmp_path / "absent.toml"])
    with pytest.raises(UsageError, match=r"own\.toml cannot be read"):
        load([toml("[sampling")])


def test_an_unknown_environment_is_refused():
    with pytest.raises(UsageError, match="unknown environment 'nowhere'"):
        load(env="nowhere")


def test_the_hash_of_sections_changes_with_them_and_with_nothing_else():
    base, other = load(), load(settings=["sampling.ratio=4"])
    assert base.section_hash(("sampling",)) != other.section_hash(("sampling",))
    assert base.section_hash(("labels", "history")) == other.section_hash(("labels", "history"))
    assert base.hash != other.hash
    assert load().hash == base.hash


def test_the_longer_window_is_found_by_path():
    config = load(settings=["history.search_days=40"])
    assert config.number("history.window_days") == 40
    assert config.number("history.promoted_days") == 30


def parse(*given):
    parser = Parser(prog="x")
    add_common(parser)
    add_days(parser)
    return parser.parse_args(given)


class TestArguments:
    def test_an_abbreviation_is_no_option(self):
        with pytest.raises(UsageError, match="--dat"):
            parse("--dat", "2026-01-01")

    def test_no_date_is_told_in_one_line(self):
        with pytest.raises(
            UsageError, match=r"'yesterday' is no date like 2026-01-31; see x --help"
        ):
            parse("--date", "yesterday")

    def test_one_date_or_a_range_inclusive(self):
        assert chosen_days(parse("--date", "2026-01-31"), None) == [date(2026, 1, 31)]
        found = chosen_days(parse("--start", "2026-02-27", "--end", "2026-03-01"), None)
        assert found == [date(2026, 2, 27), date(2026, 2, 28), date(2026, 3, 1)]

    def test_the_last_day_that_landed_is_the_default(self):
        assert chosen_days(parse(), date(2026, 1, 5)) == [date(2026, 1, 5)]

    @pytest.mark.parametrize(
        ("given", "told"),
        [
            ([], "nothing has landed"),
            (["--start", "2026-01-01"], "go together"),
            (["--end", "2026-01-01"], "go together"),
            (["--start", "2026-01-02", "--end", "2026-01-01"], "is before"),
            (["--date", "2026-01-01", "--end", "2026-01-01"], "not both"),
        ],
    )
    def test_half_a_range_is_refused(self, given, told):
        with pytest.raises(UsageError, match=told):
            chosen_days(parse(*given), None)

    def test_places_are_text_whatever_they_hold(self, monkeypatch):
        for name in ("PROMOTED_CTR__STORAGE__ROOT", "PROMOTED_CTR__STORAGE__LANDING"):
            monkeypatch.delenv(name, raising=False)
        config = effective_config(
            parse("--root", r'C:\a"b', "--landing", "2026", "--source", "true")
        )
        assert config.storage.root == r'C:\a"b'
        assert (config.storage.landing, config.source.name) == ("2026", "true")

    def test_a_command_s_namespace_is_enough(self):
        arguments = argparse.Namespace(
            root=None, landing=None, source=None, env=None, conf=[], settings=["sampling.ratio=2"]
        )
        assert effective_config(arguments).sampling.ratio == 2.0
