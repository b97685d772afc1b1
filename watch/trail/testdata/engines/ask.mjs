// Asks another engine: node ask.mjs duckdb|chdb FOLDER-WITH-node_modules < SQL. Answers one JSON object a line.
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';
import { readFileSync } from 'node:fs';
const [engine, folder] = process.argv.slice(2);
const require = createRequire(folder + '/package.json');
const sql = readFileSync(0, 'utf8');
if (engine === 'duckdb') {
  const { DuckDBInstance } = await import(pathToFileURL(require.resolve('@duckdb/node-api')));
  const answer = await (await (await DuckDBInstance.create()).connect()).runAndReadAll(sql);
  for (const row of answer.getRowObjectsJson()) console.log(JSON.stringify(row));
} else {
  process.stdout.write(require('chdb').query(sql, 'JSONEachRow'));
}
