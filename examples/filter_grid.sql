-- What the filter would keep of the searched problems at other thresholds, one solution a problem, and how much of it
-- would be right: for analysis only, on problems whose answers are known and that nothing learns from. The files are those of right_by_decoder.sql.
WITH judged AS (
  SELECT t.prompt_id, c.score, c.outcome_reward, c.agreement, coalesce(t.answer = p.answer, false) AS is_right
  FROM 't/data/*.parquet' t
  JOIN 'c/data/*.parquet' c USING (trajectory_id)
  JOIN 'p/data/*.parquet' p ON p.prompt_id = t.prompt_id
  WHERE t.finished AND len([x FOR x IN c.checks IF x.computed IS NOT NULL]) > 0 AND list_bool_and([x.ok FOR x IN c.checks IF x.computed IS NOT NULL])),
grid AS (
  SELECT o.above, a.least
  FROM (VALUES (0.3), (0.4), (0.5), (0.6)) o(above), (VALUES (0.0), (0.5), (0.6), (0.7), (0.8)) a(least)),
kept AS (
  SELECT above, least, prompt_id, arg_max(is_right, score) AS is_right
  FROM judged JOIN grid ON outcome_reward > above AND agreement >= least
  GROUP BY above, least, prompt_id)
SELECT above AS outcome_above, least AS agreement_at_least,
       round(count(*) / (SELECT count(*) FROM 'p/data/*.parquet'), 3) AS yield,
       round(avg(is_right::INT), 3) AS precision
FROM kept GROUP BY ALL ORDER BY ALL;

-- The same for thresholds of the confidence.
WITH judged AS (
  SELECT t.prompt_id, c.confidence, coalesce(t.answer = p.answer, false) AS is_right
  FROM 't/data/*.parquet' t
  JOIN 'c/data/*.parquet' c USING (trajectory_id)
  JOIN 'p/data/*.parquet' p ON p.prompt_id = t.prompt_id
  WHERE t.finished AND len([x FOR x IN c.checks IF x.computed IS NOT NULL]) > 0 AND list_bool_and([x.ok FOR x IN c.checks IF x.computed IS NOT NULL])),
kept AS (
  SELECT least, prompt_id, arg_max(is_right, confidence) AS is_right
  FROM judged JOIN (VALUES (0.45), (0.6), (0.7), (0.75), (0.85), (0.9)) g(least) ON confidence >= least
  GROUP BY least, prompt_id)
SELECT least AS confidence_at_least,
       round(count(*) / (SELECT count(*) FROM 'p/data/*.parquet'), 3) AS yield,
       round(avg(is_right::INT), 3) AS precision
FROM kept GROUP BY ALL ORDER BY ALL;
