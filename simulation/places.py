"""Places that generated readings come from: towns of all 18 regions, the sea, and abroad.

Coordinates are WGS 84 degrees, rounded to a hundredth or so; weights are thousands of inhabitants
of the urban area, roughly. They only have to be plausible: nothing is computed from them but
where generated readings lie.
"""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["PLACES", "Place"]


class Place(NamedTuple):
    """A place that readings scatter around.

    Attributes:
        name: for people.
        latitude: of the centre, degrees north.
        longitude: of the centre, degrees east.
        weight: how often readings come from here, relative to the other places.
        country: what a reading from here says in its field `country`.
    """

    name: str
    latitude: float
    longitude: float
    weight: int
    country: str = "France"


PLACES = (
    # 11 Île-de-France
    Place("Paris", 48.8566, 2.3522, 7000),
    Place("Versailles", 48.8049, 2.1204, 900),
    Place("Évry", 48.6290, 2.4413, 800),
    Place("Cergy", 49.0364, 2.0761, 700),
    Place("Meaux", 48.9601, 2.8788, 500),
    # 24 Centre-Val de Loire
    Place("Orléans", 47.9029, 1.9093, 280),
    Place("Tours", 47.3941, 0.6848, 350),
    Place("Bourges", 47.0810, 2.3988, 80),
    Place("Chartres", 48.4439, 1.4890, 90),
    # 27 Bourgogne-Franche-Comté
    Place("Dijon", 47.3220, 5.0415, 240),
    Place("Besançon", 47.2378, 6.0241, 140),
    Place("Belfort", 47.6380, 6.8628, 80),
    Place("Nevers", 46.9907, 3.1590, 60),
    # 28 Normandie
    Place("Rouen", 49.4432, 1.0993, 470),
    Place("Caen", 49.1829, -0.3707, 200),
    Place("Le Havre", 49.4944, 0.1079, 230),
    Place("Cherbourg", 49.6337, -1.6221, 80),
    # 32 Hauts-de-France
    Place("Lille", 50.6292, 3.0573, 1050),
    Place("Amiens", 49.8941, 2.2958, 160),
    Place("Dunkerque", 51.0343, 2.3768, 170),
    Place("Calais", 50.9513, 1.8587, 100),
    Place("Valenciennes", 50.3570, 3.5235, 330),
    # 44 Grand Est
    Place("Strasbourg", 48.5734, 7.7521, 470),
    Place("Reims", 49.2583, 4.0317, 210),
    Place("Metz", 49.1193, 6.1757, 290),
    Place("Nancy", 48.6921, 6.1844, 290),
    Place("Mulhouse", 47.7508, 7.3359, 250),
    Place("Troyes", 48.2973, 4.0744, 130),
    # 52 Pays de la Loire
    Place("Nantes", 47.2184, -1.5536, 650),
    Place("Angers", 47.4784, -0.5632, 240),
    Place("Le Mans", 48.0061, 0.1996, 210),
    Place("Les Sables-d'Olonne", 46.4961, -1.7833, 45),
    # 53 Bretagne
    Place("Rennes", 48.1173, -1.6778, 360),
    Place("Brest", 48.3904, -4.4861, 200),
    Place("Lorient", 47.7482, -3.3702, 120),
    Place("Saint-Malo", 48.6493, -2.0257, 50),
    # 75 Nouvelle-Aquitaine
    Place("Bordeaux", 44.8378, -0.5792, 970),
    Place("Limoges", 45.8336, 1.2611, 180),
    Place("Poitiers", 46.5802, 0.3404, 130),
    Place("La Rochelle", 46.1603, -1.1511, 150),
    Place("Bayonne", 43.4929, -1.4748, 240),
    Place("Pau", 43.2951, -0.3708, 200),
    # 76 Occitanie
    Place("Toulouse", 43.6047, 1.4442, 1020),
    Place("Montpellier", 43.6108, 3.8767, 450),
    Place("Nîmes", 43.8367, 4.3601, 180),
    Place("Perpignan", 42.6887, 2.8948, 200),
    Place("Tarbes", 43.2328, 0.0781, 80),
    # 84 Auvergne-Rhône-Alpes
    Place("Lyon", 45.7640, 4.8357, 1700),
    Place("Grenoble", 45.1885, 5.7245, 450),
    Place("Saint-Étienne", 45.4397, 4.3872, 370),
    Place("Clermont-Ferrand", 45.7772, 3.0870, 270),
    Place("Annecy", 45.8992, 6.1294, 230),
    Place("Chambéry", 45.5646, 5.9178, 190),
    # 93 Provence-Alpes-Côte d'Azur
    Place("Marseille", 43.2965, 5.3698, 1600),
    Place("Nice", 43.7102, 7.2620, 950),
    Place("Toulon", 43.1242, 5.9280, 580),
    Place("Avignon", 43.9493, 4.8055, 460),
    Place("Gap", 44.5594, 6.0786, 40),
    # 94 Corse
    Place("Ajaccio", 41.9192, 8.7386, 70),
    Place("Bastia", 42.6970, 9.4509, 65),
    # 01 Guadeloupe, 02 Martinique, 03 Guyane, 04 La Réunion, 06 Mayotte
    Place("Pointe-à-Pitre", 16.2411, -61.5331, 250),
    Place("Basse-Terre", 15.9958, -61.7292, 40),
    Place("Fort-de-France", 14.6161, -61.0588, 350),
    Place("Cayenne", 4.9224, -52.3135, 120),
    Place("Saint-Laurent-du-Maroni", 5.4974, -54.0325, 45),
    Place("Saint-Denis de La Réunion", -20.8823, 55.4504, 180),
    Place("Saint-Pierre de La Réunion", -21.3393, 55.4781, 200),
    Place("Mamoudzou", -12.7806, 45.2279, 260),
    # the sea: buoys and ships, in no region
    Place("Channel", 49.95, -1.60, 60),
    Place("Bay of Biscay", 45.60, -4.50, 60),
    Place("Gulf of Lion", 42.40, 4.70, 60),
    # abroad, near the border and far from it
    Place("Bruxelles", 50.8503, 4.3517, 120, "Belgium"),
    Place("Luxembourg", 49.6116, 6.1319, 60, "Luxembourg"),
    Place("Saarbrücken", 49.2402, 6.9969, 50, "Germany"),
    Place("Basel", 47.5596, 7.5886, 60, "Switzerland"),
    Place("Genève", 46.2044, 6.1432, 60, "Switzerland"),
    Place("Torino", 45.0703, 7.6869, 60, "Italy"),
    Place("Monaco", 43.7384, 7.4246, 20, "Monaco"),
    Place("San Sebastián", 43.3183, -1.9812, 40, "Spain"),
    Place("London", 51.5074, -0.1278, 80, "United Kingdom"),
    Place("Paramaribo", 5.8520, -55.2038, 20, "Suriname"),
)
