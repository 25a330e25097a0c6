-- BigQuery's functions as DuckDB macros. Where a macro has types they are BigQuery's signature: a
-- call that does not fit is refused, as BigQuery refuses it. Overloads differ in the number of
-- arguments only: DuckDB does not know the type of an aggregate when it picks one.
-- bq_fail raises an error that bears its message after "!" (error() would forbid TRY around it).

CREATE MACRO bq_fail(message) AS CAST('!' || message AS BIGINT);
CREATE MACRO bq_refuse(x, name) AS
  [x][bq_fail(name || ' does not take a value of this type: ' || typeof(x))];

-- What a function takes: checked when the query is bound, free when it runs.
CREATE MACRO bq_string(x VARCHAR) AS x;
CREATE MACRO bq_number(x BIGINT) AS x, (x HUGEINT) AS x, (x DOUBLE) AS x;
CREATE MACRO bq_day(x DATE) AS x;
CREATE MACRO bq_civil(x TIMESTAMP) AS x;
CREATE MACRO bq_instant(x TIMESTAMPTZ) AS x;
CREATE MACRO bq_dated(x) AS
  CASE WHEN typeof(x) IN ('DATE', 'TIMESTAMP', 'TIMESTAMP WITH TIME ZONE') THEN x
       ELSE bq_refuse(x, 'EXTRACT') END;
CREATE MACRO bq_clock(x) AS
  CASE WHEN typeof(x) IN ('TIME', 'TIMESTAMP', 'TIMESTAMP WITH TIME ZONE') THEN x
       ELSE bq_refuse(x, 'EXTRACT') END;

-- Numbers.
CREATE MACRO bq_divide(a DOUBLE, b DOUBLE) AS
  CASE WHEN b = 0 THEN bq_fail('division by zero: ' || a || ' / ' || b) ELSE a / b END;
CREATE MACRO bq_safe_divide(a DOUBLE, b DOUBLE) AS CASE WHEN b = 0 THEN NULL ELSE a / b END;
CREATE MACRO bq_ieee_divide(a DOUBLE, b DOUBLE) AS
  CASE WHEN b <> 0 THEN a / b
       WHEN b IS NULL OR a IS NULL THEN NULL
       WHEN a = 0 OR isnan(a) THEN CAST('nan' AS DOUBLE)
       WHEN a > 0 THEN CAST('inf' AS DOUBLE) ELSE CAST('-inf' AS DOUBLE) END;
CREATE MACRO bq_div(a, b) AS
  CASE WHEN typeof(a) IN ('DOUBLE', 'VARCHAR') OR typeof(b) IN ('DOUBLE', 'VARCHAR')
       THEN CAST(bq_refuse(a, 'DIV') AS BIGINT)
       WHEN b = 0 THEN bq_fail('division by zero: DIV(' || a || ', ' || b || ')')
       ELSE CAST(a // b AS BIGINT) END;
CREATE MACRO bq_mod(a, b) AS
  CASE WHEN typeof(a) IN ('DOUBLE', 'VARCHAR') OR typeof(b) IN ('DOUBLE', 'VARCHAR')
       THEN CAST(bq_refuse(a, 'MOD') AS BIGINT)
       WHEN b = 0 THEN bq_fail('division by zero: MOD(' || a || ', ' || b || ')')
       ELSE CAST(a % b AS BIGINT) END;
CREATE MACRO bq_round(x DOUBLE) AS round(x), (x DOUBLE, n BIGINT) AS round(x, CAST(n AS INTEGER));
CREATE MACRO bq_trunc_number(x DOUBLE) AS trunc(x),
  (x DOUBLE, n BIGINT) AS trunc(x, CAST(n AS INTEGER));
CREATE MACRO bq_ceil(x DOUBLE) AS ceil(x);
CREATE MACRO bq_floor(x DOUBLE) AS floor(x);
CREATE MACRO bq_sign(x) AS CAST(sign(x) AS BIGINT);
CREATE MACRO bq_sqrt(x DOUBLE) AS
  CASE WHEN x < 0 THEN bq_fail('SQRT of the negative number ' || x) ELSE sqrt(x) END;
CREATE MACRO bq_exp(x DOUBLE) AS exp(x);
CREATE MACRO bq_ln(x DOUBLE) AS
  CASE WHEN x <= 0 THEN bq_fail('logarithm of ' || x || ', which is not positive') ELSE ln(x) END;
CREATE MACRO bq_log(x DOUBLE) AS bq_ln(x),
  (x DOUBLE, base DOUBLE) AS
    CASE WHEN base = 1 THEN bq_fail('logarithm to the base 1') ELSE bq_ln(x) / bq_ln(base) END;
CREATE MACRO bq_log10(x DOUBLE) AS
  CASE WHEN x <= 0 THEN bq_fail('logarithm of ' || x || ', which is not positive')
       ELSE log10(x) END;
CREATE MACRO bq_pow(x DOUBLE, y DOUBLE) AS
  CASE WHEN (x = 0 AND y < 0) OR (x < 0 AND y <> floor(y))
       THEN bq_fail('POW(' || x || ', ' || y || ') is not a number') ELSE pow(x, y) END;
CREATE MACRO bq_is_nan(x DOUBLE) AS isnan(x);
CREATE MACRO bq_is_inf(x DOUBLE) AS isinf(x);

-- Conversions. A branch that is not taken must still have the right type, hence the casts in it.
CREATE MACRO bq_to_int64(x) AS
  CASE WHEN typeof(x) IN ('DOUBLE', 'FLOAT') THEN CAST(round(TRY_CAST(x AS DOUBLE)) AS BIGINT)
       WHEN typeof(x) <> 'VARCHAR' THEN CAST(x AS BIGINT)
       WHEN regexp_full_match(CAST(x AS VARCHAR), '\s*[+-]?[0-9]+\s*') THEN CAST(x AS BIGINT)
       WHEN x IS NOT NULL THEN bq_fail('"' || x || '" is not an INT64') END;
CREATE MACRO bq_to_float64(x) AS
  CASE WHEN typeof(x) = 'BOOLEAN' THEN CAST(bq_refuse(x, 'CAST to FLOAT64') AS DOUBLE)
       WHEN typeof(x) <> 'VARCHAR' THEN CAST(x AS DOUBLE)
       WHEN regexp_full_match(CAST(x AS VARCHAR),
         '(?i)\s*[+-]?(([0-9]+\.?[0-9]*|\.[0-9]+)(e[+-]?[0-9]+)?|inf(inity)?|nan)\s*')
         THEN CAST(trim(CAST(x AS VARCHAR)) AS DOUBLE)
       WHEN x IS NOT NULL THEN bq_fail('"' || x || '" is not a FLOAT64') END;
CREATE MACRO bq_to_bool(x) AS
  CASE WHEN typeof(x) IN ('DOUBLE', 'FLOAT') THEN CAST(bq_refuse(x, 'CAST to BOOL') AS BOOLEAN)
       WHEN typeof(x) <> 'VARCHAR' THEN CAST(x AS BOOLEAN)
       WHEN lower(CAST(x AS VARCHAR)) IN ('true', 'false') THEN lower(CAST(x AS VARCHAR)) = 'true'
       WHEN x IS NOT NULL THEN bq_fail('"' || x || '" is not a BOOL') <> 0 END;
CREATE MACRO bq_moment_text(x) AS
  CASE WHEN epoch_us(x) % 1000000 = 0 THEN strftime(x, '%Y-%m-%d %H:%M:%S')
       WHEN epoch_us(x) % 1000 = 0 THEN strftime(x, '%Y-%m-%d %H:%M:%S.%g')
       ELSE strftime(x, '%Y-%m-%d %H:%M:%S.%f') END;
CREATE MACRO bq_to_string(x) AS
  CASE WHEN typeof(x) IN ('DOUBLE', 'FLOAT') THEN regexp_replace(CAST(x AS VARCHAR), '\.0$', '')
       WHEN typeof(x) = 'TIMESTAMP'
         THEN bq_moment_text(TRY_CAST(CAST(x AS VARCHAR) AS TIMESTAMP))
       WHEN typeof(x) = 'TIMESTAMP WITH TIME ZONE'
         THEN bq_moment_text(TRY_CAST(CAST(x AS VARCHAR) AS TIMESTAMP)) || '+00'
       WHEN typeof(x) IN ('VARCHAR', 'BIGINT', 'HUGEINT', 'INTEGER', 'BOOLEAN', 'DATE', 'TIME')
         THEN CAST(x AS VARCHAR)
       ELSE CAST(bq_refuse(x, 'CAST to STRING') AS VARCHAR) END;
CREATE MACRO bq_to_date(x) AS CAST(x AS DATE),
  (year BIGINT, month BIGINT, day BIGINT) AS make_date(year, month, day);
CREATE MACRO bq_to_time(x) AS
    CAST(regexp_replace(CAST(x AS VARCHAR), '^[0-9]+-[0-9]+-[0-9]+[ T]|\+00$', '', 'g') AS TIME),
  (hour BIGINT, minute BIGINT, second BIGINT) AS make_time(hour, minute, CAST(second AS DOUBLE));
CREATE MACRO bq_to_datetime(x) AS
    CASE WHEN typeof(x) = 'VARCHAR'
              AND regexp_matches(CAST(x AS VARCHAR), '([A-Za-z_]|:[0-9.]+ ?[+-][0-9:]+)$')
         THEN make_timestamp(bq_fail('"' || x || '" has a time zone, a DATETIME has none'))
         ELSE CAST(x AS TIMESTAMP) END,
  (year BIGINT, month BIGINT, day BIGINT, hour BIGINT, minute BIGINT, second BIGINT) AS
    make_timestamp(year, month, day, hour, minute, CAST(second AS DOUBLE));
CREATE MACRO bq_to_timestamp(x) AS CAST(x AS TIMESTAMPTZ);

-- Time zones: a name of the IANA data base.
CREATE MACRO bq_local(x TIMESTAMPTZ, zone VARCHAR) AS timezone(zone, x);
-- Where the clock is put back, a local time comes twice: BigQuery takes the first.
CREATE MACRO bq_first_instant(x, zone) AS
  CASE WHEN timezone(zone, timezone(zone, x) - to_hours(1)) = x
       THEN timezone(zone, x) - to_hours(1) ELSE timezone(zone, x) END;
CREATE MACRO bq_from_local(x, zone VARCHAR) AS
  CASE WHEN typeof(x) = 'VARCHAR'
            AND regexp_matches(CAST(x AS VARCHAR), '([A-Za-z_]|:[0-9.]+ ?[+-][0-9:]+)$')
       THEN make_timestamptz(bq_fail('"' || x || '" has a time zone of its own'))
       WHEN typeof(x) = 'TIMESTAMP WITH TIME ZONE'
       THEN make_timestamptz(bq_fail('TIMESTAMP does not take a TIMESTAMP and a time zone'))
       ELSE bq_first_instant(CAST(x AS TIMESTAMP), zone) END;

-- Parts of time. Weeks start on the day that is `shift` days before a Monday.
-- DATE_TRUNC takes them all, but of an aggregate DuckDB does not know the type.
CREATE MACRO bq_any_trunc(part, x DATE) AS CAST(date_trunc(part, x) AS DATE),
  (part, x TIMESTAMP) AS CAST(date_trunc(part, x) AS TIMESTAMP),
  (part, x TIMESTAMPTZ) AS date_trunc(part, x);
CREATE MACRO bq_any_week(shift, x DATE) AS
    CAST(date_trunc('week', x + to_days(shift)) - to_days(shift) AS DATE),
  (shift, x TIMESTAMP) AS
    CAST(date_trunc('week', x + to_days(shift)) - to_days(shift) AS TIMESTAMP),
  (shift, x TIMESTAMPTZ) AS date_trunc('week', x + to_days(shift)) - to_days(shift);
CREATE MACRO bq_date_trunc(part, x DATE) AS CAST(date_trunc(part, x) AS DATE);
CREATE MACRO bq_datetime_trunc(part, x TIMESTAMP) AS CAST(date_trunc(part, x) AS TIMESTAMP);
CREATE MACRO bq_timestamp_trunc(part, x TIMESTAMPTZ) AS date_trunc(part, x);
CREATE MACRO bq_date_week(shift, x DATE) AS
  CAST(date_trunc('week', x + to_days(shift)) - to_days(shift) AS DATE);
CREATE MACRO bq_datetime_week(shift, x TIMESTAMP) AS
  CAST(date_trunc('week', x + to_days(shift)) - to_days(shift) AS TIMESTAMP);
CREATE MACRO bq_timestamp_week(shift, x TIMESTAMPTZ) AS
  date_trunc('week', x + to_days(shift)) - to_days(shift);
CREATE MACRO bq_time_trunc(part, x TIME) AS
  CAST(date_trunc(part, DATE '1970-01-01' + x) AS TIME);
-- The hour and less are cut off the instant, for a local time may come twice.
CREATE MACRO bq_cut_local(part, x TIMESTAMPTZ, zone) AS
  x - (timezone(zone, x) - date_trunc(part, timezone(zone, x)));
CREATE MACRO bq_week_number(start_day, x) AS
  (date_part('doy', x) - 1 + 7 - (date_part('dow', x) - start_day + 7) % 7) // 7;
CREATE MACRO bq_units(a TIMESTAMPTZ, b TIMESTAMPTZ, microseconds) AS
  (epoch_us(a) - epoch_us(b)) // microseconds;
CREATE MACRO bq_date_units(a DATE, b DATE, part) AS date_diff(part, b, a);
CREATE MACRO bq_datetime_units(a TIMESTAMP, b TIMESTAMP, part) AS date_diff(part, b, a);
CREATE MACRO bq_date_weeks(a DATE, b DATE, shift) AS
  date_diff('day', bq_date_week(shift, b), bq_date_week(shift, a)) // 7;
CREATE MACRO bq_datetime_weeks(a TIMESTAMP, b TIMESTAMP, shift) AS
  date_diff('day', bq_date_week(shift, CAST(b AS DATE)), bq_date_week(shift, CAST(a AS DATE))) // 7;
CREATE MACRO bq_iso_years(a, b) AS date_part('isoyear', a) - date_part('isoyear', b);
CREATE MACRO bq_date_shift(x DATE, span INTERVAL) AS CAST(x + span AS DATE);
CREATE MACRO bq_datetime_shift(x TIMESTAMP, span INTERVAL) AS x + span;
CREATE MACRO bq_timestamp_shift(x TIMESTAMPTZ, span INTERVAL) AS x + span;
CREATE MACRO bq_last_day(x DATE) AS last_day(x);
CREATE MACRO bq_unix(x TIMESTAMPTZ, unit) AS
  (epoch_us(x) - ((epoch_us(x) % unit) + unit) % unit) // unit;
CREATE MACRO bq_from_unix(n BIGINT, unit) AS make_timestamptz(n * unit);
CREATE MACRO bq_unix_date(x DATE) AS date_diff('day', DATE '1970-01-01', x);
CREATE MACRO bq_from_unix_date(n BIGINT) AS DATE '1970-01-01' + CAST(n AS INTEGER);

-- Text.
CREATE MACRO bq_length(x VARCHAR) AS length(x);
CREATE MACRO bq_byte_length(x VARCHAR) AS CAST(strlen(x) AS BIGINT);
CREATE MACRO bq_upper(x VARCHAR) AS upper(x);
CREATE MACRO bq_lower(x VARCHAR) AS lower(x);
CREATE MACRO bq_substr_start(x, position) AS
  CASE WHEN position > 0 THEN position WHEN position = 0 OR -position > length(x) THEN 1
       ELSE length(x) + position + 1 END;
CREATE MACRO bq_substr(x VARCHAR, position BIGINT) AS substring(x, bq_substr_start(x, position)),
  (x VARCHAR, position BIGINT, size BIGINT) AS
    CASE WHEN size < 0 THEN CAST(bq_fail('the length of SUBSTR is negative: ' || size) AS VARCHAR)
         ELSE substring(x, bq_substr_start(x, position), size) END;
CREATE MACRO bq_left(x VARCHAR, n BIGINT) AS
  CASE WHEN n < 0 THEN CAST(bq_fail('the length of LEFT is negative: ' || n) AS VARCHAR)
       ELSE left(x, n) END;
CREATE MACRO bq_right(x VARCHAR, n BIGINT) AS
  CASE WHEN n < 0 THEN CAST(bq_fail('the length of RIGHT is negative: ' || n) AS VARCHAR)
       ELSE right(x, n) END;
CREATE MACRO bq_strpos(x VARCHAR, part VARCHAR) AS strpos(x, part);
CREATE MACRO bq_starts_with(x VARCHAR, part VARCHAR) AS starts_with(x, part);
CREATE MACRO bq_ends_with(x VARCHAR, part VARCHAR) AS ends_with(x, part);
CREATE MACRO bq_replace(x VARCHAR, old VARCHAR, new VARCHAR) AS
  CASE WHEN old = '' THEN x ELSE replace(x, old, new) END;
CREATE MACRO bq_ltrim(x VARCHAR) AS regexp_replace(x, '^[\s\x0b\pZ\x{85}]+', ''),
  (x VARCHAR, characters VARCHAR) AS ltrim(x, characters);
CREATE MACRO bq_rtrim(x VARCHAR) AS regexp_replace(x, '[\s\x0b\pZ\x{85}]+$', ''),
  (x VARCHAR, characters VARCHAR) AS rtrim(x, characters);
CREATE MACRO bq_trim(x VARCHAR) AS bq_ltrim(bq_rtrim(x)),
  (x VARCHAR, characters VARCHAR) AS trim(x, characters);
CREATE MACRO bq_lpad(x VARCHAR, n BIGINT) AS lpad(x, CAST(n AS INTEGER), ' '),
  (x VARCHAR, n BIGINT, pad VARCHAR) AS lpad(x, CAST(n AS INTEGER), pad);
CREATE MACRO bq_rpad(x VARCHAR, n BIGINT) AS rpad(x, CAST(n AS INTEGER), ' '),
  (x VARCHAR, n BIGINT, pad VARCHAR) AS rpad(x, CAST(n AS INTEGER), pad);
CREATE MACRO bq_repeat(x VARCHAR, n BIGINT) AS repeat(x, n);
CREATE MACRO bq_split(x VARCHAR) AS string_split(x, ','),
  (x VARCHAR, separator VARCHAR) AS string_split(x, separator);
CREATE MACRO bq_contains_substr(x VARCHAR, part VARCHAR) AS contains(lower(x), lower(part));
CREATE MACRO bq_regexp_contains(x VARCHAR, pattern VARCHAR) AS regexp_matches(x, pattern);
CREATE MACRO bq_regexp_extract(x VARCHAR, pattern VARCHAR, part) AS
  CASE WHEN regexp_matches(x, pattern) THEN regexp_extract(x, pattern, part) END;
CREATE MACRO bq_regexp_extract_all(x VARCHAR, pattern VARCHAR, part) AS
  regexp_extract_all(x, pattern, part);
CREATE MACRO bq_regexp_replace(x VARCHAR, pattern VARCHAR, new VARCHAR) AS
  regexp_replace(x, pattern, new, 'g');
CREATE MACRO bq_json_value(x VARCHAR, path VARCHAR) AS
  CASE WHEN json_valid(x) AND json_type(x, path) NOT IN ('OBJECT', 'ARRAY', 'NULL')
       THEN json_extract_string(x, path) END;

-- Arrays.
CREATE MACRO bq_at(x, position) AS
  CASE WHEN position < 0 OR position >= len(x)
       THEN x[bq_fail('the array index ' || position || ' is out of bounds')]
       ELSE x[position + 1] END;
CREATE MACRO bq_safe_at(x, position) AS
  CASE WHEN position >= 0 AND position < len(x) THEN x[position + 1] END;
CREATE MACRO bq_generate_array(a BIGINT, b BIGINT) AS generate_series(a, b),
  (a BIGINT, b BIGINT, step BIGINT) AS
    CASE WHEN step = 0 THEN generate_series(bq_fail('the step of GENERATE_ARRAY is 0'), b)
         ELSE generate_series(a, b, step) END;
CREATE MACRO bq_generate_date_array(a DATE, b DATE, span INTERVAL) AS
  CAST(generate_series(CAST(a AS TIMESTAMP), CAST(b AS TIMESTAMP), span) AS DATE[]);
CREATE MACRO bq_generate_timestamp_array(a TIMESTAMPTZ, b TIMESTAMPTZ, span INTERVAL) AS
  generate_series(a, b, span);
