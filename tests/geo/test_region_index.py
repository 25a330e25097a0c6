import pickle
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pyarrow as pa
import pytest
from geo_reference import Reference, hard_points

from geo import RegionIndex

INSIDE = {
    "01": (-61.7261, 15.9979),  # Basse-Terre
    "02": (-61.0588, 14.6161),  # Fort-de-France
    "03": (-52.3135, 4.9224),  # Cayenne
    "04": (55.4504, -20.8789),  # Saint-Denis
    "06": (45.2279, -12.7806),  # Mamoudzou
    "11": (2.3522, 48.8566),  # Paris
    "24": (1.9093, 47.9029),  # Orléans
    "27": (5.0415, 47.3220),  # Dijon
    "28": (1.0993, 49.4432),  # Rouen
    "32": (3.0573, 50.6292),  # Lille
    "44": (7.7521, 48.5734),  # Strasbourg
    "52": (-1.5536, 47.2184),  # Nantes
    "53": (-1.6778, 48.1173),  # Rennes
    "75": (-0.5792, 44.8378),  # Bordeaux
    "76": (1.4442, 43.6047),  # Toulouse
    "84": (4.8357, 45.7640),  # Lyon
    "93": (5.3698, 43.2965),  # Marseille
    "94": (8.7386, 41.9192),  # Ajaccio
}
BESIDE = {
    "Ouessant": (-5.096, 48.456, "53"),
    "Groix": (-3.46, 47.64, "53"),
    "Belle-Île": (-3.15, 47.33, "53"),
    "Île d'Yeu": (-2.34, 46.71, "52"),
    "Île d'Aix": (-1.175, 46.015, "75"),
    "Porquerolles": (6.204, 43.0, "93"),
    "Les Saintes": (-61.59, 15.86, "01"),
    "La Désirade": (-61.07, 16.31, "01"),
    "Menton": (7.5, 43.777, "93"),
    "Hendaye": (-1.775, 43.36, "75"),
    "Bourg-Madame": (1.944, 42.434, "76"),
    "Saint-Louis": (7.56, 47.59, "44"),
    "Annemasse": (6.234, 46.193, "84"),
    "Dunkerque": (2.377, 51.034, "32"),
}
ABROAD = {
    "Geneva": (6.143, 46.204, "84"),
    "Monaco": (7.42, 43.735, "93"),
    "Basel": (7.59, 47.56, "44"),
    "Kehl": (7.815, 48.573, "44"),
    "Irun": (-1.79, 43.338, "75"),
    "Llívia": (1.981, 42.464, "76"),
    "Oiapoque": (-51.835, 3.84, "03"),
    # Farther than the tolerance, whatever the message says.
    "Saint-Pierre": (-56.18, 46.78, None),
    "Kerguelen": (70.2, -49.35, None),
    "Saint-Martin": (-63.08, 18.07, None),
    "Jersey": (-2.1, 49.2, None),
    "Île de Sein": (-4.85, 48.037, None),
    "Zaragoza": (-0.88, 41.65, None),
}


@pytest.fixture(scope="module")
def index():
    return RegionIndex.default()


@pytest.fixture(scope="module")
def reference():
    return Reference.of_france()


def test_default_has_the_eighteen_regions_by_insee_code(index):
    assert index.codes == tuple(sorted(INSIDE))
    assert dict(zip(index.codes, index.names, strict=True)) == {
        "01": "Guadeloupe",
        "02": "Martinique",
        "03": "Guyane",
        "04": "La Réunion",
        "06": "Mayotte",
        "11": "Île-de-France",
        "24": "Centre-Val de Loire",
        "27": "Bourgogne-Franche-Comté",
        "28": "Normandie",
        "32": "Hauts-de-France",
        "44": "Grand Est",
        "52": "Pays de la Loire",
        "53": "Bretagne",
        "75": "Nouvelle-Aquitaine",
        "76": "Occitanie",
        "84": "Auvergne-Rhône-Alpes",
        "93": "Provence-Alpes-Côte d'Azur",
        "94": "Corse",
    }


def test_each_capital_lies_in_its_region(index):
    longitudes, latitudes = zip(*INSIDE.values(), strict=True)
    assert index.assign(longitudes, latitudes).tolist() == list(INSIDE)


@pytest.mark.parametrize("place", BESIDE)
def test_coasts_islands_and_border_towns_belong_to_their_region(index, place):
    longitude, latitude, code = BESIDE[place]
    assert index.assign([longitude], [latitude])[0] == code


@pytest.mark.parametrize("place", ABROAD)
def test_places_abroad_belong_to_a_region_only_if_the_message_says_france(index, place):
    longitude, latitude, code_if_said = ABROAD[place]
    place = [longitude], [latitude]
    assert index.assign(*place).tolist() == [None]
    assert index.assign(*place, [False]).tolist() == [None]
    assert index.assign(*place, [True]).tolist() == [code_if_said]


def test_assign_gives_an_array_of_texts_and_none(index):
    codes = index.assign(np.array([2.35, 0.0]), np.array([48.85, 0.0]))
    assert codes.dtype == object
    assert type(codes[0]) is str
    assert codes.tolist() == ["11", None]


def test_locate_gives_positions_in_codes(index):
    numbers = index.locate([2.35, 0.0, -1.68], [48.85, 0.0, 48.11])
    assert numbers.dtype == np.int8
    assert numbers.tolist() == [index.codes.index("11"), -1, index.codes.index("53")]


@pytest.mark.parametrize(
    ("longitude", "latitude"),
    [
        (np.nan, 48.0),
        (2.0, np.nan),
        (np.nan, np.nan),
        (np.inf, 48.0),
        (-np.inf, 48.0),
        (2.0, np.inf),
        (2.0, -np.inf),
        (180.00001, 48.0),
        (-180.00001, 48.0),
        (362.35, 48.85),
        (2.0, 90.00001),
        (2.0, -90.00001),
        (1e308, 1e308),
        (None, 48.0),
        (180.0, 90.0),
        (-180.0, -90.0),
        (180.0, -90.0),
        (-180.0, 90.0),
    ],
)
def test_what_is_no_place_in_france_is_none_and_spoils_no_other(index, longitude, latitude):
    for said in (None, [True, True, True]):
        codes = index.assign([2.35, longitude, 2.35], [48.85, latitude, 48.85], said)
        assert codes.tolist() == ["11", None, "11"]


def test_no_points_give_no_answers(index):
    assert index.assign([], []).tolist() == []
    assert index.locate(np.zeros(0), np.zeros(0), np.zeros(0, dtype=bool)).tolist() == []


def test_any_array_of_numbers_will_do(index):
    longitudes, latitudes = [2.3522, 4.8357], [48.8566, 45.764]
    for make in (tuple, np.array, pa.array, lambda x: np.array(x, dtype=np.float32)):
        assert index.assign(make(longitudes), make(latitudes)).tolist() == ["11", "84"]
    every_other = np.array([2.3522, 0, 4.8357, 0])[::2], np.array([48.8566, 0, 45.764, 0])[::2]
    assert index.assign(*every_other).tolist() == ["11", "84"]
    nulls = pa.array([2.3522, None]), pa.array([48.8566, 45.764])
    assert index.assign(*nulls).tolist() == ["11", None]


@pytest.mark.parametrize(
    "arguments",
    [([1.0], [1.0, 2.0]), (1.0, 2.0), ([[1.0]], [[1.0]]), ([1.0], [1.0], [True, False])],
)
def test_arrays_of_different_shapes_are_refused(index, arguments):
    with pytest.raises(ValueError, match="flat arrays of one length"):
        index.locate(*arguments)


@pytest.mark.parametrize("seed", range(2))
def test_default_agrees_with_shapely_on_hard_points(index, reference, seed):
    check_hard_points(index, reference, 1_500, seed)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(100, 110))
def test_default_agrees_with_shapely_on_very_many_hard_points(index, reference, seed):
    check_hard_points(index, reference, 20_000, seed)


def check_hard_points(index, reference, count, seed):
    x, y = hard_points(reference, count, seed)
    said = np.random.default_rng(seed).random(len(x)) < 0.5
    for flags in (None, said):
        answers = index.locate(x, y, flags)
        wrong = np.flatnonzero(answers != reference.locate(x, y, flags))
        assert [(x[i], y[i], answers[i]) for i in wrong] == []


def test_answers_do_not_depend_on_how_points_are_batched(index, reference):
    x, y = hard_points(reference, 6_000, seed=7)
    assert len(x) > 2 * 32_768
    whole = index.locate(x, y)
    x_with_nan = x.copy()
    x_with_nan[::1_000] = np.nan
    with_nan = index.locate(x_with_nan, y)
    assert (with_nan[::1_000] == -1).all()
    kept = np.arange(len(x)) % 1_000 != 0
    assert (with_nan[kept] == whole[kept]).all()
    pieces = [index.locate(x[i : i + 777], y[i : i + 777]) for i in range(0, len(x), 777)]
    assert (np.concatenate(pieces) == whole).all()


def test_threads_share_an_index(index, reference):
    x, y = hard_points(reference, 1_000, seed=8)
    expected = index.locate(x, y)
    fresh = RegionIndex(index.codes, index.names, index._grid, index._boundaries)
    together = threading.Barrier(4)

    def work(_):
        together.wait(timeout=60)
        return [fresh.locate(x, y) for _ in range(5)]

    with ThreadPoolExecutor(4) as pool:
        for results in pool.map(work, range(4)):
            assert all((result == expected).all() for result in results)


def test_default_is_one_index_and_pickles_by_reference(index):
    stored = pickle.dumps(index)
    assert len(stored) < 200
    assert pickle.loads(stored) is RegionIndex.default() is index  # noqa: S301
    again = subprocess.run(
        [
            sys.executable,
            "-c",
            "import pickle, sys; print(pickle.load(sys.stdin.buffer).codes[-1])",
        ],
        input=stored,
        capture_output=True,
        check=True,
    )
    assert again.stdout.strip() == b"94"


def test_default_loads_without_shapely_and_within_a_moment(index):
    code = (
        "import sys, time, numpy; start = time.perf_counter()\n"
        "from geo import RegionIndex; RegionIndex.default().locate([2.35], [48.85])\n"
        "print(time.perf_counter() - start, 'shapely' in sys.modules)"
    )
    runs = [
        subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
        for _ in range(3)
    ]
    seconds, shapely_loaded = zip(*(run.stdout.split() for run in runs), strict=True)
    assert set(shapely_loaded) == {"False"}
    assert min(map(float, seconds)) < 0.3
    assert repr(index) == "<RegionIndex of 18 regions>"
