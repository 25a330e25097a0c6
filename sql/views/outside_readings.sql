-- The current version of every reading that lies in no region, or has no place.
SELECT id, quantity, event_time, longitude, latitude, value, source, run_id
FROM latest_readings
WHERE region_code IS NULL AND NOT too_late
