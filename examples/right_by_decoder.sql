-- How often what a search found is right, by where it comes from and by what the calculator says: for analysis only, on
-- problems whose answers are known and that nothing learns from. Search and judge the validation problems first:
--   search --prompts data/runs/tiny/world/validation ... --out-trajectories t --out-nodes n
--   critique score --trajectories t ... --out c
--   cp -r data/runs/tiny/world/validation p && duckdb < examples/right_by_decoder.sql
WITH judged AS (
  SELECT t.prompt_id, t.decoder, c.outcome_reward, coalesce(t.answer = p.answer, false) AS is_right,
         len([x FOR x IN c.checks IF x.computed IS NOT NULL]) > 0 AND list_bool_and([x.ok FOR x IN c.checks IF x.computed IS NOT NULL]) AS verified
  FROM 't/data/*.parquet' t
  JOIN 'c/data/*.parquet' c USING (trajectory_id)
  JOIN 'p/data/*.parquet' p ON p.prompt_id = t.prompt_id)
SELECT decoder, verified, count(*) AS solutions, round(avg(is_right::INT), 3) AS share_right,
       round(avg(outcome_reward), 3) AS mean_outcome
FROM judged GROUP BY ALL
UNION ALL
SELECT 'any', NULL, count(*), round(avg(any_right), 3), NULL
FROM (SELECT prompt_id, max(is_right::INT) AS any_right FROM judged GROUP BY prompt_id)
ORDER BY ALL;
