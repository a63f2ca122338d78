import traceback
from pathlib import Path

import pytest

from inference.errors import InvalidInput
from webapp.settings import as_environment, read_settings


def test_defaults() -> None:
    settings = read_settings()
    assert (settings.model, settings.host, settings.port) == ("ko-mini", "127.0.0.1", 8000)


def test_flag_beats_own_name_beats_platform_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORT", "1001")
    assert read_settings().port == 1001
    monkeypatch.setenv("SSANG_PORT", "1002")
    assert read_settings().port == 1002
    assert read_settings(port="1003").port == 1003


def test_web_concurrency_sets_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WEB_CONCURRENCY", "3")
    assert read_settings().workers == 3


def test_empty_variable_means_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSANG_DEVICE", "")
    assert read_settings().device == "auto"


def test_file_in_the_working_folder_is_read_and_the_environment_wins(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / ".env").write_text("SSANG_PORT=1001\nSSANG_DEVICE=cpu\nOTHER=1\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SSANG_PORT", "1002")
    settings = read_settings()
    assert (settings.port, settings.device) == (1002, "cpu")


def test_list_is_split_at_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSANG_CORS_ORIGINS", "https://a.example, https://b.example,")
    assert read_settings().cors_origins == ("https://a.example", "https://b.example")


def test_keys_are_split_and_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSANG_API_KEYS", "first-key, second-key")
    settings = read_settings()
    keys = [key.get_secret_value() for key in settings.api_keys]
    assert keys == ["first-key", "second-key"]
    assert not any(key in repr(settings) for key in keys)


def test_the_generator_s_key_is_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSANG_GENERATOR_KEY", "secret")
    settings = read_settings()
    assert settings.generator_key.get_secret_value() == "secret"
    assert "secret" not in repr(settings)


@pytest.mark.parametrize("value", [",", " , ", "good,not good", "열쇠", "a\tb"])
def test_unfit_keys_are_refused_without_being_shown(
    monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    monkeypatch.setenv("SSANG_API_KEYS", value)
    with pytest.raises(InvalidInput, match="SSANG_API_KEYS: ") as caught:
        read_settings()
    shown = "".join(traceback.format_exception(caught.value))
    assert not any(part in shown for part in ("good", "열쇠", "a\tb"))


def test_a_cluster_s_password_is_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSANG_CORPUS", "opensearch+https://user:secret@host:9200")
    settings = read_settings()
    assert settings.corpus.get_secret_value().endswith("user:secret@host:9200")
    assert "secret" not in repr(settings)


@pytest.mark.parametrize("value", ["https://user:secret@host", "opensearch+https://", "secret"])
def test_unfit_corpus_is_refused_without_being_shown(
    monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    monkeypatch.setenv("SSANG_CORPUS", value)
    with pytest.raises(InvalidInput, match="SSANG_CORPUS: It must be like opensearch") as caught:
        read_settings()
    assert "secret" not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PORT", "http"),
        ("SSANG_PORT", "70000"),
        ("SSANG_PRECISION", "int4"),
        ("SSANG_THREADS", "0"),
        ("SSANG_DEADLINE_S", "-1"),
    ],
)
def test_wrong_value_names_the_variable(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(InvalidInput, match=value) as caught:
        read_settings()
    assert name.removeprefix("SSANG_") in caught.value.message


def test_flags_become_the_variables_that_mean_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in as_environment({"max_body_bytes": 5, "model": "x"}).items():
        monkeypatch.setenv(name, value)
    settings = read_settings()
    assert (settings.max_body_bytes, settings.model) == (5, "x")
