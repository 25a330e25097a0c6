import json
import subprocess
import sys

import pytest

from geo.__main__ import main


def run(*words):
    return subprocess.run(
        [sys.executable, "-m", "geo", *words], capture_output=True, text=True, check=False
    )


def test_command_prints_code_and_name():
    done = run("1.4442", "43.6047")
    assert (done.returncode, done.stdout, done.stderr) == (0, "76 Occitanie\n", "")


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["-1.5536", "47.2184"], "52 Pays de la Loire"),
        (["-1e-3", "48"], "52 Pays de la Loire"),
        (["--", "-1.5536", "47.2184"], "52 Pays de la Loire"),
        (["55.4504", "-20.8789"], "04 La Réunion"),
        ([" 2.35", "+48.85"], "11 Île-de-France"),
        (["6.143", "46.204"], "outside: no region of France"),
        (["6.143", "46.204", "--said_in_france"], "84 Auvergne-Rhône-Alpes"),
        (["-180", "-90"], "outside: no region of France"),
    ],
)
def test_any_way_of_writing_degrees_will_do(capsys, words, line):
    assert main(words) == 0
    assert capsys.readouterr().out == line + "\n"


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ([], "the following arguments are required: longitude, latitude"),
        (["2.35"], "the following arguments are required: latitude"),
        (["2", "48", "7"], "unrecognized arguments: 7"),
        (["nan", "48"], "argument longitude: 'nan' is not a number of degrees within ±180"),
        (["-inf", "48"], "argument longitude: '-inf' is not"),
        (["Paris", "48"], "argument longitude: 'Paris' is not"),
        (["181", "48"], "argument longitude: '181' is not"),
        (["2", "-90.1"], "argument latitude: '-90.1' is not a number of degrees within ±90"),
        (["2", "48", "--boundaries", "nowhere"], "there is no file nowhere"),
        (["2", "48", "--tolerance", "1"], "--tolerance is of use only with --boundaries"),
        (["2", "48", "--city", "x"], "unrecognized arguments: --city"),
    ],
)
def test_wrong_arguments_get_one_sentence_and_status_2(capsys, words, sentence):
    with pytest.raises(SystemExit) as stopped:
        main(words)
    assert stopped.value.code == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith(f"python -m geo: {sentence}")
    assert printed.err.count("\n") == 1


def test_other_boundaries_can_be_named(capsys, tmp_path):
    ring = [[0, 0], [1, 0], [1, 1], [0, 1], [0, 0]]
    path = tmp_path / "b.geojson"
    geometry = {"type": "Polygon", "coordinates": [ring]}
    properties = {"insee": "A1", "nom": "Carré"}
    feature = {"type": "Feature", "properties": properties, "geometry": geometry}
    path.write_text(json.dumps({"type": "FeatureCollection", "features": [feature]}))
    words = ["--boundaries", str(path), "--code_property", "insee"]
    assert main(["0.5", "0.5", *words]) == 0
    assert main(["0.5", "0.5", *words, "--name_property", "nom"]) == 0
    assert main(["1.2", "0.5", *words]) == 0
    assert main(["1.2", "0.5", *words, "--tolerance", "0.25"]) == 0
    lines = ["A1", "A1 Carré", f"outside: no region of {path}", "A1"]
    assert capsys.readouterr().out.splitlines() == lines
    with pytest.raises(SystemExit):
        main(["0.5", "0.5", "--boundaries", str(path)])
    assert "the property 'code' of feature 1" in capsys.readouterr().err


def test_help_names_the_exit_statuses(capsys):
    with pytest.raises(SystemExit) as stopped:
        main(["--help"])
    assert stopped.value.code == 0
    assert "Exit status: 0, or 2" in " ".join(capsys.readouterr().out.split())
