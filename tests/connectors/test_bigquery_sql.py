"""BigQuery SQL in DuckDB: the answers are BigQuery's, or there is none.

What is expected here comes from BigQuery's reference, not from what DuckDB says.
"""

from __future__ import annotations

import datetime
import zoneinfo

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.bigquery_sql import QueryError, answer, install_functions, translate


@pytest.fixture(scope="module")
def connection():
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'")
    install_functions(connection)
    connection.execute(
        """CREATE TABLE means AS SELECT * FROM (VALUES
            ('a', TIMESTAMPTZ '2019-02-19 14:00:00+00', CAST(3 AS BIGINT), CAST(1.5 AS DOUBLE)),
            ('b', TIMESTAMPTZ '2019-02-19 15:30:00+00', 4, NULL),
            ('c', TIMESTAMPTZ '2019-02-20 01:00:00+00', 5, -2.25)
        ) AS t(region, hour, count, mean)"""
    )
    return connection


def ask(connection, query):
    table = answer(connection, query, ["means"])
    return [tuple(plainly(cell) for cell in row.values()) for row in table.to_pylist()]


def plainly(cell):
    """Moments as text, sums as integers; the rest as it is."""
    if isinstance(cell, datetime.datetime):
        text = cell.replace(tzinfo=None).isoformat(" ")
        return f"{text}+00" if cell.tzinfo else text
    if isinstance(cell, datetime.date | datetime.time):
        return str(cell)
    if isinstance(cell, list):
        return [plainly(item) for item in cell]
    return int(cell) if type(cell).__name__ == "Decimal" else cell


VALUES = {
    # numbers
    "7 / 2": 3.5,
    "6 / 2": 3.0,
    "DIV(7, 2)": 3,
    "DIV(-7, 2)": -3,
    "MOD(-7, 3)": -1,
    "0.1 + 0.2": 0.1 + 0.2,
    "2000000000 + 2000000000": 4_000_000_000,
    "1000000 * 1000000": 10**12,
    "3 ^ 5": 6,
    "0x1F": 31,
    "1e3": 1000.0,
    ".5": 0.5,
    "ROUND(2.5)": 3.0,
    "ROUND(-2.5)": -3.0,
    "ROUND(0.5)": 1.0,
    "ROUND(2.345, 2)": 2.35,
    "ROUND(1234.5, -2)": 1200.0,
    "ROUND(5)": 5.0,
    "TRUNC(2.77, 1)": 2.7,
    "TRUNC(-2.7)": -2.0,
    "CEIL(1.2)": 2.0,
    "FLOOR(-1.2)": -2.0,
    "SIGN(-2)": -1,
    "ABS(-3)": 3,
    "LOG(100, 10)": 2.0,
    "LOG(8, 2)": 3.0,
    "LOG(1)": 0.0,
    "LN(1)": 0.0,
    "LOG10(1000)": 3.0,
    "POW(2, 3)": 8.0,
    "SQRT(16)": 4.0,
    "GREATEST(1, 3, 2)": 3,
    "GREATEST(1, NULL)": None,
    "LEAST(1, NULL, 2)": None,
    "SAFE_DIVIDE(1, 0)": None,
    "SAFE_DIVIDE(1, 4)": 0.25,
    "IEEE_DIVIDE(1, 0)": float("inf"),
    "SAFE_ADD(9223372036854775807, 1)": None,
    "SAFE_MULTIPLY(3, 4)": 12,
    "SAFE_SUBTRACT(3, 4)": -1,
    "IS_NAN(1.5)": False,
    # conversions
    "CAST(2.5 AS INT64)": 3,
    "CAST(-2.5 AS INT64)": -3,
    "CAST(3.5 AS INT64)": 4,
    "CAST('12' AS INT64)": 12,
    "CAST(TRUE AS INT64)": 1,
    "CAST(NULL AS INT64)": None,
    "CAST('1.5' AS FLOAT64)": 1.5,
    "CAST(1.0 AS STRING)": "1",
    "CAST(0.1 AS STRING)": "0.1",
    "CAST(TRUE AS STRING)": "true",
    "CAST('TRUE' AS BOOL)": True,
    "CAST(0 AS BOOL)": False,
    "CAST(TIMESTAMP '2019-02-19 14:00:00' AS STRING)": "2019-02-19 14:00:00+00",
    "CAST(TIMESTAMP '2019-02-19 14:00:00.5' AS STRING)": "2019-02-19 14:00:00.500+00",
    "CAST(DATETIME '2019-02-19 14:00:00' AS STRING)": "2019-02-19 14:00:00",
    "CAST('2019-02-19' AS DATE)": "2019-02-19",
    "CAST(TIMESTAMP '2019-02-19 23:59:59' AS DATE)": "2019-02-19",
    "SAFE_CAST('x' AS INT64)": None,
    "SAFE_CAST('1.5' AS INT64)": None,
    "SAFE_CAST('7' AS INT64)": 7,
    "SAFE_CAST('x' AS TIMESTAMP)": None,
    # text
    "CONCAT('a', 'b', 'c')": "abc",
    "CONCAT('a', NULL)": None,
    "'a' || 'b'": "ab",
    "SUBSTR('abc', 0, 2)": "ab",
    "SUBSTR('abc', -2)": "bc",
    "SUBSTR('abc', -5, 2)": "ab",
    "SUBSTR('abc', 2, 1)": "b",
    "SUBSTR('abc', 9)": "",
    "SAFE.SUBSTR('abc', 1, -1)": None,
    "STRPOS('abc', 'c')": 3,
    "STRPOS('abc', 'x')": 0,
    "LENGTH('é')": 1,
    "BYTE_LENGTH('é')": 2,
    "UPPER('é')": "É",
    "TRIM('  a\\t')": "a",
    "TRIM('xxaxx', 'x')": "a",
    "LTRIM(' a ')": "a ",
    "RTRIM(' a ')": " a",
    "LPAD('ab', 5)": "   ab",
    "LPAD('abcdef', 3)": "abc",
    "RPAD('a', 4, 'xy')": "axyx",
    "REPEAT('ab', 3)": "ababab",
    "REPLACE('aaa', 'a', 'b')": "bbb",
    "LEFT('abc', 2)": "ab",
    "RIGHT('abc', 2)": "bc",
    "SPLIT('a,b')": ["a", "b"],
    "SPLIT('a-b', '-')": ["a", "b"],
    "STARTS_WITH('abc', 'ab')": True,
    "ENDS_WITH('abc', 'ab')": False,
    "CONTAINS_SUBSTR('Pays de la Loire', 'loire')": True,
    "'a_b' LIKE r'a\\_b'": True,
    "'axb' LIKE r'a\\_b'": False,
    "'axb' LIKE 'a_b'": True,
    "'abc' NOT LIKE 'a%'": False,
    "REGEXP_CONTAINS('abc', r'^a.c$')": True,
    "REGEXP_EXTRACT('abc', r'b(.)')": "c",
    "REGEXP_EXTRACT('abc', r'b.')": "bc",
    "REGEXP_EXTRACT('abc', r'(?:a)b')": "ab",
    "REGEXP_EXTRACT('abc', r'\\(')": None,
    "REGEXP_EXTRACT('abc', r'x')": None,
    "REGEXP_EXTRACT_ALL('a1b2', r'[a-z](\\d)')": ["1", "2"],
    "REGEXP_REPLACE('aaa', 'a', 'b')": "bbb",
    "REGEXP_REPLACE('abc', r'(b)', r'[\\1]')": "a[b]c",
    "JSON_VALUE('{\"a\": {\"b\": 1}}', '$.a.b')": "1",
    "JSON_VALUE('{\"a\": {\"b\": 1}}', '$.a')": None,
    "JSON_VALUE('{\"a\": null}', '$.a')": None,
    "JSON_VALUE('not json', '$.a')": None,
    "JSON_EXTRACT_SCALAR('{\"a\": \"x\"}', '$.a')": "x",
    "FORMAT('%.2f and %d and %s', 1.5, 3, 'x')": "1.50 and 3 and x",
    "FORMAT('%5d|%-4s|%05.1f|%+d|100%%', 3, 'é', 2.25, 4)": "    3|é   |002.2|+4|100%",
    "FORMAT('%t', NULL)": "NULL",
    "FORMAT('%s', NULL)": None,
    "FORMAT('%t', TIMESTAMP '2019-02-19')": "2019-02-19 00:00:00+00",
    # moments
    "TIMESTAMP '2019-02-19 14:00:00 Europe/Paris'": "2019-02-19 13:00:00+00",
    "TIMESTAMP '2019-02-19T14:00:00Z'": "2019-02-19 14:00:00+00",
    "TIMESTAMP '2019-02-19 14:00:00z'": "2019-02-19 14:00:00+00",
    "TIMESTAMP '2019-02-19 14:00:00+1'": "2019-02-19 13:00:00+00",
    "TIMESTAMP '2019-02-19 14:00:00.5-03:30'": "2019-02-19 17:30:00.500000+00",
    "TIMESTAMP '2019-2-9'": "2019-02-09 00:00:00+00",
    "TIMESTAMP '2019-02-19+01:00'": "2019-02-18 23:00:00+00",
    "TIMESTAMP('2019-02-19 14:00:00', 'Europe/Paris')": "2019-02-19 13:00:00+00",
    "TIMESTAMP('2019-10-27 02:30:00', 'Europe/Paris')": "2019-10-27 00:30:00+00",
    "TIMESTAMP(DATE '2019-02-19')": "2019-02-19 00:00:00+00",
    "TIMESTAMP_DIFF(TIMESTAMP '2001-02-01 01:00:00', TIMESTAMP '2001-02-01 00:00:01', HOUR)": 0,
    "TIMESTAMP_DIFF('2001-02-01 00:00:01', '2001-02-01 01:00:00', HOUR)": 0,
    "TIMESTAMP_DIFF(TIMESTAMP '2018-08-14', TIMESTAMP '2018-10-14', DAY)": -61,
    "TIMESTAMP_DIFF('2010-07-07 10:20:00+00', '2008-12-25 15:30:00+00', HOUR)": 13410,
    "TIMESTAMP_DIFF('2019-01-01 00:00:01.9', '2019-01-01 00:00:00', SECOND)": 1,
    "TIMESTAMP_ADD(TIMESTAMP '2008-12-25 15:30:00', INTERVAL 10 MINUTE)": "2008-12-25 15:40:00+00",
    "TIMESTAMP_SUB(TIMESTAMP '2008-12-25 15:30:00', INTERVAL 1 + 1 DAY)": "2008-12-23 15:30:00+00",
    "TIMESTAMP_SUB(TIMESTAMP '2008-12-25', INTERVAL -1 HOUR)": "2008-12-25 01:00:00+00",
    "TIMESTAMP '2019-02-19 02:00:00' - INTERVAL 3 HOUR": "2019-02-18 23:00:00+00",
    "DATE_DIFF(DATE '2017-10-15', DATE '2017-10-14', WEEK)": 1,
    "DATE_DIFF(DATE '2017-10-15', DATE '2017-10-14', DAY)": 1,
    "DATE_DIFF(DATE '2017-12-30', DATE '2014-12-30', YEAR)": 3,
    "DATE_DIFF(DATE '2017-12-30', DATE '2014-12-30', ISOYEAR)": 2,
    "DATE_DIFF(DATE '2017-12-18', DATE '2017-12-17', WEEK)": 0,
    "DATE_DIFF(DATE '2017-12-18', DATE '2017-12-17', WEEK(MONDAY))": 1,
    "DATE_DIFF(DATE '2017-12-18', DATE '2017-12-17', ISOWEEK)": 1,
    "DATE_DIFF(DATE '2019-01-01', DATE '2018-12-31', MONTH)": 1,
    "DATE_DIFF(DATE '2018-12-31', DATE '2019-01-01', QUARTER)": -1,
    "DATETIME_DIFF(DATETIME '2019-01-01', DATETIME '2018-12-31 23:59:59', HOUR)": 1,
    "DATE_ADD(DATE '2019-01-31', INTERVAL 1 MONTH)": "2019-02-28",
    "DATE_SUB(DATE '2020-02-29', INTERVAL 1 YEAR)": "2019-02-28",
    "DATE_ADD('2019-01-31', INTERVAL 2 WEEK)": "2019-02-14",
    "DATETIME_ADD(DATETIME '2019-01-31 10:00:00', INTERVAL 1 MONTH)": "2019-02-28 10:00:00",
    "LAST_DAY(DATE '2020-02-03')": "2020-02-29",
    "DATE(TIMESTAMP '2019-02-19 23:30:00', 'Europe/Paris')": "2019-02-20",
    "DATE(2019, 2, 3)": "2019-02-03",
    "DATETIME(TIMESTAMP '2019-02-19 23:30:00', '+05:30')": "2019-02-20 05:00:00",
    "EXTRACT(HOUR FROM TIMESTAMP '2019-02-19 23:30:00' AT TIME ZONE 'Europe/Paris')": 0,
    "EXTRACT(DAYOFWEEK FROM DATE '2019-02-17')": 1,
    "EXTRACT(DAYOFWEEK FROM DATE '2019-02-23')": 7,
    "EXTRACT(DAYOFYEAR FROM DATE '2019-02-01')": 32,
    "EXTRACT(WEEK FROM TIMESTAMP '2005-01-03 12:34:56')": 1,
    "EXTRACT(WEEK FROM TIMESTAMP '2009-01-01 12:00:00')": 0,
    "EXTRACT(WEEK FROM TIMESTAMP '2017-05-26 12:00:00')": 21,
    "EXTRACT(WEEK(MONDAY) FROM DATE '2017-11-05')": 44,
    "EXTRACT(WEEK(SUNDAY) FROM DATE '2017-11-05')": 45,
    "EXTRACT(ISOWEEK FROM TIMESTAMP '2007-12-31 12:00:00')": 1,
    "EXTRACT(ISOYEAR FROM TIMESTAMP '2007-12-31 12:00:00')": 2008,
    "EXTRACT(SECOND FROM TIMESTAMP '2019-01-01 00:00:05.9')": 5,
    "EXTRACT(MILLISECOND FROM TIMESTAMP '2019-01-01 00:00:05.123456')": 123,
    "EXTRACT(MICROSECOND FROM TIMESTAMP '2019-01-01 00:00:05.123456')": 123456,
    "EXTRACT(DATE FROM TIMESTAMP '2019-01-01 10:00:00')": "2019-01-01",
    "EXTRACT(TIME FROM TIMESTAMP '2019-01-01 10:00:00')": "10:00:00",
    "TIMESTAMP_TRUNC(TIMESTAMP '2019-02-19 14:10:00', HOUR)": "2019-02-19 14:00:00+00",
    "TIMESTAMP_TRUNC(TIMESTAMP '2019-02-19 14:10:00', WEEK)": "2019-02-17 00:00:00+00",
    "TIMESTAMP_TRUNC(TIMESTAMP '2017-11-06', WEEK(MONDAY))": "2017-11-06 00:00:00+00",
    "TIMESTAMP_TRUNC(TIMESTAMP '2017-11-05', WEEK(TUESDAY))": "2017-10-31 00:00:00+00",
    "TIMESTAMP_TRUNC(TIMESTAMP '2017-11-06 00:00:00+12', WEEK(MONDAY), 'Pacific/Auckland')": (
        "2017-11-05 11:00:00+00"
    ),
    "TIMESTAMP_TRUNC('2015-06-15 00:00:00+00', ISOYEAR)": "2014-12-29 00:00:00+00",
    "TIMESTAMP_TRUNC(TIMESTAMP '2008-12-25 15:30:00', DAY, 'America/Los_Angeles')": (
        "2008-12-25 08:00:00+00"
    ),
    "TIMESTAMP_TRUNC(TIMESTAMP '2019-10-27 01:30:00', HOUR, 'Europe/Paris')": (
        "2019-10-27 01:00:00+00"
    ),
    "TIMESTAMP_TRUNC(TIMESTAMP '1969-12-31 23:59:59', DAY)": "1969-12-31 00:00:00+00",
    "DATE_TRUNC(DATE '2019-02-19', MONTH)": "2019-02-01",
    "DATE_TRUNC(DATE '2019-02-19', WEEK)": "2019-02-17",
    "DATE_TRUNC(DATE '2019-02-19', ISOWEEK)": "2019-02-18",
    "DATE_TRUNC(TIMESTAMP '2019-02-19 10:00:00', MONTH)": "2019-02-01 00:00:00+00",
    "DATETIME_TRUNC(DATETIME '2019-02-19 10:20:00', HOUR)": "2019-02-19 10:00:00",
    "TIME_TRUNC(TIME '10:11:12', MINUTE)": "10:11:00",
    "FORMAT_TIMESTAMP('%F %T', TIMESTAMP '2008-12-25 15:30:00')": "2008-12-25 15:30:00",
    "FORMAT_TIMESTAMP('%c', TIMESTAMP '2008-12-05 15:30:00', 'UTC')": "Fri Dec  5 15:30:00 2008",
    "FORMAT_TIMESTAMP('%H:%M', TIMESTAMP '2019-02-19 14:00:00', 'Europe/Paris')": "15:00",
    "FORMAT_TIMESTAMP('%H', TIMESTAMP '2019-02-19 14:00:00', '-05:00')": "09",
    "FORMAT_TIMESTAMP('%b-%d-%Y %%c %E3S %Ez %Z %j', TIMESTAMP '2008-12-25 15:30:00.25')": (
        "Dec-25-2008 %c 00.250 +00:00 UTC 360"
    ),
    "FORMAT_TIMESTAMP('Q%Q %P %s', TIMESTAMP '1970-01-02 13:00:00')": "Q1 pm 133200",
    "FORMAT_DATE('%A %e %B', DATE '2019-02-09')": "Saturday  9 February",
    "PARSE_TIMESTAMP('%Y-%m-%d %H:%M:%S', '2019-02-19 14:00:00')": "2019-02-19 14:00:00+00",
    "PARSE_TIMESTAMP('%F %T', '2019-02-19 14:00:00', 'Europe/Paris')": "2019-02-19 13:00:00+00",
    "PARSE_DATE('%Y%m%d', '20190219')": "2019-02-19",
    "UNIX_SECONDS(TIMESTAMP '1969-12-31 23:59:59.5')": -1,
    "UNIX_MILLIS(TIMESTAMP '1970-01-01 00:00:01.5')": 1500,
    "UNIX_DATE(DATE '1970-01-02')": 1,
    "TIMESTAMP_SECONDS(-1)": "1969-12-31 23:59:59+00",
    "TIMESTAMP_MILLIS(1500)": "1970-01-01 00:00:01.500000+00",
    "STRING(TIMESTAMP '2008-12-25 15:30:00')": "2008-12-25 15:30:00+00",
    # arrays and structs
    "[10, 20][OFFSET(1)]": 20,
    "[10, 20][ORDINAL(1)]": 10,
    "[10, 20][SAFE_OFFSET(2)]": None,
    "[10, 20][SAFE_ORDINAL(0)]": None,
    "ARRAY_LENGTH([1, 2, 3])": 3,
    "GENERATE_ARRAY(1, 7, 3)": [1, 4, 7],
    "GENERATE_ARRAY(3, 1)": [],
    "GENERATE_DATE_ARRAY('2019-01-01', '2019-01-03')": ["2019-01-01", "2019-01-02", "2019-01-03"],
    "GENERATE_TIMESTAMP_ARRAY('2019-01-01', '2019-01-02', INTERVAL 12 HOUR)": [
        "2019-01-01 00:00:00+00",
        "2019-01-01 12:00:00+00",
        "2019-01-02 00:00:00+00",
    ],
    "ARRAY_TO_STRING(['a', 'b'], '-')": "a-b",
    "ARRAY_CONCAT([1], [2, 3])": [1, 2, 3],
    "ARRAY(SELECT x * 2 FROM UNNEST([1, 2]) AS x ORDER BY x DESC)": [4, 2],
    "2 IN UNNEST([1, 2])": True,
    "STRUCT(1 AS a, 'x' AS b).b": "x",
    "(SELECT AS STRUCT 1 AS a).a": 1,
    # conditions
    "IF(NULL, 1, 2)": 2,
    "IFNULL(NULL, 3)": 3,
    "COALESCE(NULL, NULL, 4)": 4,
    "NULLIF(1, 1)": None,
    "CASE WHEN FALSE THEN 1 ELSE 2.5 END": 2.5,
    "NULL IS DISTINCT FROM 1": True,
    "1 IN (1, NULL)": True,
    "EXISTS(SELECT 1 FROM means WHERE count > 4)": True,
    "ARRAY<INT64>[1, 2]": [1, 2],
    "ARRAY<STRING>[]": [],
    "LENGTH(GENERATE_UUID())": 36,
    "RAND() BETWEEN 0 AND 1": True,
    "SAFE_CAST('2019-02-30' AS DATE)": None,
    "CAST(DATE '2019-02-19' AS TIMESTAMP)": "2019-02-19 00:00:00+00",
    "DATETIME(2019, 2, 3, 4, 5, 6)": "2019-02-03 04:05:06",
    "TIME(TIMESTAMP '2019-02-19 04:05:06')": "04:05:06",
    "PARSE_DATETIME('%F %R', '2019-02-19 04:05')": "2019-02-19 04:05:00",
    "FORMAT_DATETIME('%D', DATETIME '2019-02-19')": "02/19/19",
    "TIMESTAMP_TRUNC(TIMESTAMP '2019-10-26 20:00:00', DAY, '+05:30')": "2019-10-26 18:30:00+00",
    "DATE_ADD(DATE '2019-01-31', INTERVAL 1 QUARTER)": "2019-04-30",
    "TIMESTAMP '2019-02-19' + INTERVAL 1 DAY": "2019-02-20 00:00:00+00",
    "JSON_VALUE('{\"a b\": [5]}', '$.\"a b\"[0]')": "5",
}


@pytest.mark.parametrize("expression", VALUES)
def test_a_value_is_what_bigquery_says(connection, expression):
    (value,) = ask(connection, f"SELECT {expression}")[0]
    assert value == VALUES[expression]
    assert type(value) is type(VALUES[expression])


ROWS = {
    # order: NULL is the smallest
    "SELECT region FROM means ORDER BY mean": ["b", "c", "a"],
    "SELECT region FROM means ORDER BY mean DESC": ["a", "c", "b"],
    "SELECT region FROM means ORDER BY mean NULLS LAST": ["c", "a", "b"],
    "SELECT region FROM means ORDER BY RANK() OVER (ORDER BY mean)": ["b", "c", "a"],
    "SELECT ARRAY_AGG(region ORDER BY mean) FROM means": [["b", "c", "a"]],
    # aliases hide columns in the later clauses
    "SELECT TIMESTAMP_TRUNC(hour, DAY) AS hour, COUNT(*) n FROM means GROUP BY hour ORDER BY n": [
        ("2019-02-20 00:00:00+00", 1),
        ("2019-02-19 00:00:00+00", 2),
    ],
    "SELECT COUNT(*) AS count FROM means HAVING count = 3": [3],
    "SELECT region AS mean, COUNT(*) AS n FROM means GROUP BY mean ORDER BY mean": [
        ("a", 1),
        ("b", 1),
        ("c", 1),
    ],
    "SELECT -count AS count FROM means ORDER BY count + 0": [-5, -4, -3],
    "SELECT DATE(hour) AS hour, MAX(count) c FROM means GROUP BY hour HAVING hour > '2019-02-19'": [
        ("2019-02-20", 5)
    ],
    "SELECT DATE(hour) AS hour, region FROM means QUALIFY ROW_NUMBER() OVER "
    "(PARTITION BY hour ORDER BY region DESC) = 1 ORDER BY region": [
        ("2019-02-19", "b"),
        ("2019-02-20", "c"),
    ],
    # names of tables
    "SELECT region FROM `project.dataset.means` WHERE count = 3": ["a"],
    "SELECT region FROM `my-project`.dataset.`means` WHERE count = 3": ["a"],
    "SELECT region FROM my-project.dataset.means WHERE count = 3": ["a"],
    "SELECT means.region, dataset.means.count FROM dataset.means LIMIT 1": [("a", 3)],
    "WITH means AS (SELECT * FROM means WHERE count > 3) SELECT COUNT(*) FROM means": [2],
    "WITH a AS (SELECT 1 AS x), b AS (SELECT x + 1 AS x FROM A) SELECT x FROM b": [2],
    "WITH RECURSIVE r AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM r WHERE n < 3) "
    "SELECT SUM(n) FROM r": [6],
    "SELECT count AS `table`, region AS `user` FROM means LIMIT 1": [(3, "a")],
    # clauses
    "SELECT * EXCEPT (hour, mean) FROM means WHERE region = 'a'": [("a", 3)],
    "SELECT * REPLACE (1 AS mean) FROM means WHERE region = 'a'": [
        ("a", "2019-02-19 14:00:00+00", 3, 1)
    ],
    "SELECT DISTINCT DATE(hour) AS d FROM means ORDER BY d": ["2019-02-19", "2019-02-20"],
    "SELECT region FROM means WHERE hour = '2019-02-19 14:00:00'": ["a"],
    "SELECT region FROM means WHERE hour >= '2019-02-19T15:30:00Z' AND hour < '2019-02-20'": ["b"],
    "SELECT region FROM means WHERE hour IN ('2019-02-19 14:00:00', '2019-02-20 01:00:00+00')": [
        "a",
        "c",
    ],
    "SELECT region FROM means WHERE DATE(hour) = '2019-02-20'": ["c"],
    "SELECT a.region FROM means AS a JOIN means AS b "
    "ON a.hour = TIMESTAMP_ADD(b.hour, INTERVAL 90 MINUTE)": ["b"],
    "SELECT region, (SELECT COUNT(*) FROM means AS o WHERE o.count < m.count) FROM means AS m": [
        ("a", 0),
        ("b", 1),
        ("c", 2),
    ],
    "SELECT 1 AS x UNION ALL SELECT 2 ORDER BY x DESC": [2, 1],
    "SELECT region FROM means INTERSECT DISTINCT SELECT 'a'": ["a"],
    "SELECT region, COUNT(*) FROM means GROUP BY ROLLUP(region) ORDER BY region LIMIT 2": [
        (None, 3),
        ("a", 1),
    ],
    "SELECT x, i FROM UNNEST(['p', 'q']) AS x WITH OFFSET AS i ORDER BY i": [("p", 0), ("q", 1)],
    "SELECT region, x FROM means, UNNEST([count, 0]) AS x WITH OFFSET WHERE offset = 0 LIMIT 1": [
        ("a", 3)
    ],
    "SELECT x FROM UNNEST(GENERATE_ARRAY(1, 3)) AS x WHERE x > 1": [2, 3],
    "SELECT * FROM UNNEST([STRUCT(1 AS a, 'x' AS b), STRUCT(2 AS a, 'y' AS b)])": [
        (1, "x"),
        (2, "y"),
    ],
    "SELECT s.b, a FROM means, UNNEST([STRUCT(count AS a, 'x' AS b)]) AS s WHERE a > 4": [("x", 5)],
    # aggregates
    "SELECT COUNTIF(mean IS NULL) / COUNT(*), COUNT(mean), SUM(count) FROM means": [(1 / 3, 2, 12)],
    "SELECT MAX_BY(region, count), MIN_BY(mean, count), MAX_BY(mean, -ABS(count - 4)) FROM means": [
        ("c", 1.5, None)
    ],
    "SELECT ANY_VALUE(region HAVING MAX mean), ANY_VALUE(mean HAVING MIN region) FROM means": [
        ("a", 1.5)
    ],
    "SELECT STDDEV(count), VAR_POP(count), STDDEV(mean) FROM means WHERE region = 'a'": [
        (None, 0.0, None)
    ],
    "SELECT CORR(count, count), COVAR_SAMP(count, count) FROM means WHERE region = 'a'": [
        (None, None)
    ],
    "SELECT CORR(count, -count) FROM means": [-1.0],
    "SELECT APPROX_QUANTILES(count, 2), APPROX_QUANTILES(count, 100)[OFFSET(50)] FROM means": [
        ([3, 4, 5], 4)
    ],
    "SELECT APPROX_COUNT_DISTINCT(region), COUNT(DISTINCT DATE(hour)) FROM means": [(3, 2)],
    "SELECT ARRAY_AGG(mean IGNORE NULLS ORDER BY region DESC LIMIT 1) FROM means": [[-2.25]],
    "SELECT STRING_AGG(region, '-' ORDER BY region DESC), STRING_AGG(region LIMIT 1) FROM means": [
        ("c-b-a", "a")
    ],
    "SELECT STRING_AGG(DISTINCT region, '' ORDER BY region) FROM means": ["abc"],
    "SELECT ARRAY_AGG(STRUCT(region, mean) ORDER BY mean DESC LIMIT 1)[OFFSET(0)].region "
    "FROM means": ["a"],
    "SELECT LOGICAL_OR(count > 4), LOGICAL_AND(count > 4) FROM means": [(True, False)],
    "SELECT ROUND(AVG(mean), 1), CAST(MAX(count) AS STRING), DIV(SUM(count), 5) FROM means": [
        (-0.4, "5", 2)
    ],
    "SELECT TIMESTAMP_DIFF(MAX(hour), MIN(hour), HOUR), DATE_TRUNC(DATE(MAX(hour)), MONTH), "
    "EXTRACT(HOUR FROM MAX(hour)), FORMAT_TIMESTAMP('%H', MAX(hour)) FROM means": [
        (11, "2019-02-01", 1, "01")
    ],
    "SELECT SUM(mean) FROM means WHERE FALSE": [None],
    # windows
    "SELECT region, LAG(count) OVER (ORDER BY hour) FROM means": [("a", None), ("b", 3), ("c", 4)],
    "SELECT LAST_VALUE(mean IGNORE NULLS) OVER (ORDER BY hour) FROM means": [1.5, 1.5, -2.25],
    "SELECT SUM(count) OVER w FROM means WINDOW w AS (ORDER BY hour ROWS BETWEEN 1 PRECEDING "
    "AND CURRENT ROW)": [3, 7, 9],
    "SELECT SUM(count) OVER (ORDER BY UNIX_SECONDS(hour) RANGE BETWEEN 5400 PRECEDING AND CURRENT "
    "ROW) FROM means": [3, 7, 5],
    "SELECT PERCENTILE_CONT(count, 0.25) OVER () FROM means LIMIT 1": [3.5],
    "SELECT ROUND(100 * COUNT(*) / SUM(COUNT(*)) OVER (), 1) FROM means GROUP BY DATE(hour) "
    "ORDER BY 1": [33.3, 66.7],
    "SELECT region FROM means QUALIFY ROW_NUMBER() OVER (ORDER BY mean DESC) = 1": ["a"],
}


@pytest.mark.parametrize("query", ROWS)
def test_an_answer_is_what_bigquery_says(connection, query):
    expected = [row if isinstance(row, tuple) else (row,) for row in ROWS[query]]
    assert ask(connection, query) == expected


MOMENTS_AS_PYTHON = {
    "EXTRACT(YEAR FROM at)": lambda at: at.year,
    "EXTRACT(DAYOFYEAR FROM at)": lambda at: at.timetuple().tm_yday,
    "EXTRACT(DAYOFWEEK FROM at)": lambda at: at.isoweekday() % 7 + 1,
    "EXTRACT(WEEK FROM at)": lambda at: int(at.strftime("%U")),
    "EXTRACT(WEEK(MONDAY) FROM at)": lambda at: int(at.strftime("%W")),
    "EXTRACT(ISOWEEK FROM at)": lambda at: at.isocalendar().week,
    "EXTRACT(ISOYEAR FROM at)": lambda at: at.isocalendar().year,
    "EXTRACT(MILLISECOND FROM at)": lambda at: at.microsecond // 1000,
    "UNIX_SECONDS(at)": lambda at: (at - EPOCH) // datetime.timedelta(seconds=1),
    "TIMESTAMP_DIFF(at, TIMESTAMP '1970-01-01', HOUR)": lambda at: int(
        (at - EPOCH) / datetime.timedelta(hours=1)
    ),
    "DATE_DIFF(DATE(at), DATE '1970-01-01', DAY)": lambda at: (at.date() - EPOCH.date()).days,
    "DATE_DIFF(DATE(at), DATE '1970-01-01', MONTH)": lambda at: (
        (at.year - 1970) * 12 + at.month - 1
    ),
    "DATE_DIFF(DATE(at), DATE '1970-01-04', WEEK)": lambda at: (
        (at.date() - datetime.date(1970, 1, 4)).days // 7
    ),
    "UNIX_DATE(DATE_TRUNC(DATE(at), WEEK))": lambda at: (
        (at.date() - datetime.timedelta(days=at.isoweekday() % 7) - EPOCH.date()).days
    ),
    "UNIX_DATE(DATE(TIMESTAMP_TRUNC(at, WEEK(THURSDAY))))": lambda at: (
        (at.date() - datetime.timedelta(days=(at.weekday() - 3) % 7) - EPOCH.date()).days
    ),
    "FORMAT_TIMESTAMP('%a %d %b %Y %I %p %U %V %j', at)": lambda at: at.strftime(
        "%a %d %b %Y %I %p %U %V %j"
    ),
    "EXTRACT(HOUR FROM at AT TIME ZONE 'Europe/Paris')": lambda at: at.astimezone(PARIS).hour,
    "FORMAT_TIMESTAMP('%F', at, 'America/New_York')": lambda at: str(
        at.astimezone(NEW_YORK).date()
    ),
}
EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
PARIS, NEW_YORK = zoneinfo.ZoneInfo("Europe/Paris"), zoneinfo.ZoneInfo("America/New_York")


@settings(max_examples=20, deadline=None)
@given(
    st.lists(
        st.datetimes(
            datetime.datetime(1950, 1, 1),  # noqa: DTZ001
            datetime.datetime(2037, 1, 1),  # noqa: DTZ001
            timezones=st.just(datetime.UTC),
        ),
        min_size=1,
        max_size=200,
    )
)
def test_parts_of_moments_are_those_of_python(connection, moments):
    micros = ", ".join(str((at - EPOCH) // datetime.timedelta(microseconds=1)) for at in moments)
    columns = ", ".join(MOMENTS_AS_PYTHON)
    rows = ask(
        connection,
        f"SELECT {columns} FROM (SELECT TIMESTAMP_MICROS(n) AS at, i FROM UNNEST([{micros}]) AS n "
        "WITH OFFSET AS i) ORDER BY i",
    )
    for at, row in zip(moments, rows, strict=True):
        assert dict(zip(MOMENTS_AS_PYTHON, row, strict=True)) == {
            expression: compute(at) for expression, compute in MOMENTS_AS_PYTHON.items()
        }


def test_columns_without_a_name_are_named_as_bigquery_does(connection):
    query = "SELECT COUNT(*), region, 1 + 1, 'x' AS y FROM means GROUP BY region"
    names = connection.sql(translate(query, ["means"]).sql).columns
    assert names == ["f0_", "region", "f1_", "y"]


def test_the_present_is_the_present(connection):
    now = datetime.datetime.now(datetime.UTC)
    ((first, second, today, local),) = ask(
        connection,
        "SELECT TIMESTAMP_DIFF(CURRENT_TIMESTAMP(), TIMESTAMP '1970-01-01', SECOND), "
        "UNIX_SECONDS(CURRENT_TIMESTAMP), CURRENT_DATE(), "
        "DATETIME_DIFF(CURRENT_DATETIME('+02:00'), CURRENT_DATETIME(), HOUR)",
    )
    assert abs(first - now.timestamp()) < 60
    assert abs(second - now.timestamp()) < 60
    assert today in {str(now.date()), str((now + datetime.timedelta(minutes=1)).date())}
    assert local == 2


REFUSED = {
    # query: (part of the reason, line, column)
    "SELECT foo FROM means": ("no column foo. means has region, hour, count, mean.", 1, 8),
    "SELECT m.reg FROM means AS m": ("no column reg; did you mean region?", 1, 8),
    "SELECT mean,\n\n  \tregio FROM means": ("no column regio; did you mean region?", 3, 4),
    "SELECT mean, 'é', foo FROM means": ("no column foo", 1, 19),
    "SELECT region FROM mean": ("no table mean; did you mean means? There are: means.", 1, 20),
    "SELECT region FROM Means": ("no table Means; did you mean means?", 1, 20),
    "SELECT region FROM `p.d.other`": ("no table other", 1, 20),
    "SELECT x.region FROM means": ('referenced table "x" not found', 1, 8),
    "SELECT region, SUM(mean) FROM means": ('column "region" must appear in the GROUP BY', 1, 8),
    "SELECT a.mean FROM means a, means b WHERE region = 'a'": ("ambiguous", 1, 43),
    "SELECT region AS x, mean AS x FROM means GROUP BY x": ("x is ambiguous in GROUP BY", 1, 51),
    "SELECT AVG(mean) AS mean FROM means HAVING AVG(mean) > 1": ("cannot be nested", 1, 8),
    "SELECT mean * 2 AS m FROM means WHERE m > 1": ("an alias of the SELECT list", 1, 39),
    # types
    "SELECT SUM(region) FROM means": ("'sum(STRING)'", 1, 8),
    "SELECT UPPER(mean) FROM means": ("UPPER does not take values of these types", 1, 8),
    "SELECT TIMESTAMP_TRUNC(region, DAY) FROM means": ("TIMESTAMP_TRUNC does not take", 1, 8),
    "SELECT 1 FROM means WHERE region = 11": ("is not a number and cannot be compared", 1, 27),
    "SELECT 1 FROM means WHERE region IN (1, 2)": ("is not a number", 1, 27),
    "SELECT 1 FROM means WHERE hour BETWEEN 1 AND 2": ("is not a number", 1, 27),
    "SELECT 1 FROM means WHERE hour = 'yesterday'": ("yesterday", 1, 34),
    "SELECT TIMESTAMP '2019-13-45'": ("out of range", 1, 18),
    "SELECT TIMESTAMP 'infinity'": ("'infinity' is not a TIMESTAMP", 1, 18),
    "SELECT DATE '2019-02-19 10:00:00+01'": ("is not a DATE", 1, 13),
    "SELECT CAST(1 AS NUMERIC)": ("does not support the type NUMERIC", 1, 13),
    "SELECT EXTRACT(HOUR FROM hour - hour) FROM means": ("EXTRACT does not take", None, None),
    "SELECT DATE_TRUNC(MAX(hour), DAY) FROM means": ("say it with CAST", 1, 8),
    "SELECT SAFE_CAST(MAX(region) AS INT64) FROM means": ("in WITH first", None, None),
    # values
    "SELECT mean / 0 FROM means": ("division by zero: 1.5 / 0.0", None, None),
    "SELECT DIV(1, 0)": ("division by zero: DIV(1, 0)", None, None),
    "SELECT MOD(1, 0)": ("division by zero", None, None),
    "SELECT LN(0)": ("logarithm of 0.0", None, None),
    "SELECT SQRT(-1)": ("negative", None, None),
    "SELECT POW(0, -1)": ("is not a number", None, None),
    "SELECT CAST('1.5' AS INT64)": ('"1.5" is not an INT64', None, None),
    "SELECT CAST('t' AS BOOL)": ('"t" is not a BOOL', None, None),
    "SELECT [1][OFFSET(1)]": ("array index 1 is out of bounds", None, None),
    "SELECT SUBSTR('a', 1, -1)": ("negative", None, None),
    "SELECT 9223372036854775807 + 1": ("overflow", None, None),
    "SELECT TIMESTAMP('2019-01-01 00:00:00+01', 'Europe/Paris')": ("zone of its own", None, None),
    "SELECT DATETIME(hour, 'Mars/Olympus') FROM means": ("Mars/Olympus", None, None),
    # functions
    "SELECT MEDIAN(mean) FROM means": ("no function MEDIAN", 1, 8),
    "SELECT COUNTIFF(TRUE)": ("no function COUNTIFF; did you mean COUNTIF?", 1, 8),
    "SELECT 1, read_text('/etc/passwd')": ("no function READ_TEXT", 1, 11),
    "SELECT UPPER('a', 'b')": ("UPPER takes 1 argument, here are 2", 1, 8),
    "SELECT IFNULL(1)": ("IFNULL takes 2 arguments, here are 1", 1, 8),
    "SELECT SUM(mean ORDER BY mean) FROM means": ("does not support ORDER BY in SUM", 1, 8),
    "SELECT ROW_NUMBER() FROM means": ("ROW_NUMBER needs OVER", 1, 8),
    "SELECT PERCENTILE_CONT(mean, 0.5) FROM means": ("needs OVER", 1, 8),
    "SELECT TIMESTAMP_ADD(hour, INTERVAL 1 MONTH) FROM means": ("no INTERVAL of MONTH", 1, 8),
    "SELECT TIMESTAMP_DIFF(hour, hour, WEEK) FROM means": ("has no part WEEK", 1, 35),
    "SELECT EXTRACT(FOO FROM hour) FROM means": ("has no part FOO", 1, 25),
    "SELECT FORMAT_DATE('%H', DATE '2019-01-01')": ("a DATE has no format element %H", 1, 8),
    "SELECT FORMAT_TIMESTAMP('%Z', hour, 'Europe/Paris') FROM means": ("element %Z", 1, 8),
    "SELECT FORMAT_TIMESTAMP('%', hour) FROM means": ("lone %", 1, 8),
    "SELECT PARSE_TIMESTAMP('%m-%d', '02-03')": ("the format must have %Y", 1, 8),
    "SELECT FORMAT('%d')": ("FORMAT has no value for %d", 1, 8),
    "SELECT FORMAT('%d', 1, 2)": ("1 values more", 1, 8),
    "SELECT REGEXP_EXTRACT('a', '(a)(b)')": ("has 2 groups", 1, 8),
    # what DuckDB would do, and what would do something else
    "SELECT * FROM read_csv('/etc/passwd')": ("no table functions", 1, 15),
    "SELECT * FROM '/etc/passwd'": ("no table /etc/passwd", 1, 15),
    "SELECT * FROM `/etc/passwd`": ("no table /etc/passwd", 1, 15),
    "SELECT * FROM duckdb_settings()": ("no table functions", 1, 15),
    "SELECT * FROM information_schema.tables": ("no table", 1, 15),
    "SELECT 1 UNION ALL BY NAME SELECT 2": ("by place only", None, None),
    "SELECT CAST(hour AS STRING FORMAT 'YYYY') FROM means": ("CAST with FORMAT", None, None),
    "SELECT JSON_VALUE('{}', '$..a')": ("a literal JSON path", 1, 8),
    "SELECT REGEXP_EXTRACT(region, region) FROM means": ("expression as a literal", 1, 8),
    "SELECT FORMAT(region) FROM means": ("the format as a literal", 1, 8),
    "SELECT FORMAT('%q', 1)": ("does not support %q", 1, 8),
    "SELECT FORMAT('%', 1)": ("FORMAT cannot read", 1, 8),
    "SELECT FORMAT_TIMESTAMP(region, hour) FROM means": ("the format as a literal", 1, 8),
    "SELECT PARSE_DATE(region, region) FROM means": ("the format as a literal", 1, 8),
    "SELECT PARSE_DATE('%V', '7')": ("%V for parsing", 1, 8),
    "SELECT DATE(hour, region) FROM means": ("time zone as a literal", 1, 19),
    "SELECT DATETIME(2019, 1, 1)": ("DATETIME takes 1, 2 or 6 arguments", 1, 8),
    "SELECT TIMESTAMP_TRUNC(hour, WEEK(NOON)) FROM means": ("NOON is no day", 1, 30),
    "SELECT TIMESTAMP_TRUNC(hour, 5) FROM means": ("a date part such as HOUR", 1, 30),
    "SELECT TIME_TRUNC(TIME '10:00:00', DAY)": ("TIME_TRUNC has no part DAY", 1, 36),
    "SELECT DATE_DIFF(DATE '2019-01-01', DATE '2019-01-01', HOUR)": ("has no part HOUR", 1, 56),
    "SELECT TIMESTAMP_ADD(hour, 5) FROM means": ("needs an INTERVAL", 1, 8),
    "SELECT GENERATE_TIMESTAMP_ARRAY(hour, hour, 5) FROM means": ("needs an INTERVAL", 1, 8),
    "SELECT hour - INTERVAL '1:30' HOUR TO MINUTE FROM means": ("one part", None, None),
    "SELECT hour - INTERVAL '1.5' HOUR FROM means": ("whole number", None, None),
    "SELECT DATETIME('2019-01-01 00:00:00+01')": ("is not a DATETIME", 1, 17),
    "SELECT STRUCT(1)": ("a name for each field", None, None),
    "SELECT CORR(mean, mean) OVER () FROM means": ("CORR as a window function", 1, 8),
    "SELECT ARRAY_AGG(mean LIMIT 1) OVER () FROM means": ("cannot be a window", 1, 8),
    "SELECT APPROX_QUANTILES(mean, 0) FROM means": ("must be from 1 to", 1, 8),
    "SELECT MAX(mean IGNORE NULLS) FROM means": ("does not support IGNORE NULLS", 1, 8),
    "SELECT [1]['a']": ("by number only", None, None),
    "SELECT NET.HOST('x')": ("does not support this", None, None),
    "SELECT ML.PREDICT(1)": ("", None, None),
    "SELECT 5 % 2": ("write MOD(a, b)", 1, 8),
    "SELECT 1 AS a, 2 AS A": ("two columns of the answer are named A and a", None, None),
    "SELECT hour - hour FROM means": ("f0_ is an INTERVAL; use TIMESTAMP_DIFF", None, None),
    "SELECT @x": ("query parameters", None, None),
    "SELECT * FROM means TABLESAMPLE SYSTEM (10 PERCENT)": ("TABLESAMPLE", None, None),
    "SELECT * FROM means PIVOT(SUM(count) FOR region IN ('a'))": ("PIVOT", None, None),
    "SELECT 'a' LIKE ANY ('a', 'b')": ("LIKE ANY", None, None),
    "SELECT b'x'": ("BYTES", None, None),
    "SELECT AS VALUE 1": ("SELECT AS VALUE", None, None),
    "SELECT SUM(count) OVER (ORDER BY hour ROWS BETWEEN 1 PRECEDING AND CURRENT ROW EXCLUDE TIES) "
    "FROM means": ("EXCLUDE", None, None),
    # not a query
    "COPY means TO 'x'": ("only a SELECT query", 1, 1),
    "  DELETE FROM means WHERE TRUE": ("only a SELECT query", 1, 3),
    "CREATE TABLE x AS SELECT 1": ("only a SELECT query", 1, 1),
    "INSERT INTO means VALUES (1)": ("only a SELECT query", 1, 1),
    "ATTACH 'x.db'": ("only a SELECT query", 1, 1),
    "SET x = 1": ("only a SELECT query", 1, 1),
    "PRAGMA database_list": ("only a SELECT query", 1, 1),
    "SELECT 1; SELECT 2": ("one SELECT query at a time", 1, 9),
    "-- nothing": ("there is no query", None, None),
    "SELECT region FROM means WHERE": ("something is missing after 'WHERE'", 1, 26),
    "SELECT (1": ("something is missing after '1'", 1, 9),
    "SELECT region FROM means WERE mean > 3": ("was not expected here", 1, 31),
    "SELECT 'a', 'abc": ("a quote or a comment left open", 1, 13),
    "SELECT `abc": ("a quote or a comment left open", 1, 8),
    "SELECT 1 /* abc": ("a quote or a comment left open", 1, 10),
}


@pytest.mark.parametrize("query", REFUSED)
def test_what_cannot_be_answered_is_refused_with_place_and_reason(connection, query):
    reason, line, column = REFUSED[query]
    with pytest.raises(QueryError) as caught:
        ask(connection, query)
    told = caught.value.describe(query)
    assert reason in told
    assert "bq_" not in told.lower().replace("bq query", "")
    if line is not None:
        assert told.startswith(f"line {line}, column {column}: ")
        assert told.splitlines()[-1] == "  " + caret_line(query, line, column)


def caret_line(query, line, column):
    before = query.splitlines()[line - 1][: column - 1]
    return "".join("\t" if letter == "\t" else " " for letter in before) + "^"


def test_deep_nesting_is_refused_and_not_a_crash(connection):
    query = "SELECT " + "(" * 5000 + "1" + ")" * 5000
    with pytest.raises(QueryError, match="nested too deeply"):
        ask(connection, query)


def test_comments_of_the_query_do_no_harm(connection):
    query = "SELECT region /* @3 */ -- first\nFROM means # third */\nWHERE count = 3 /* last */"
    assert ask(connection, query) == [("a",)]
