// Runs statements in ClickHouse as a library (npm chdb): a JSON array of texts on the standard input, a JSON array of answers on the standard output, each an array
// of rows. The first argument is the folder that chdb is installed in, the second an empty one for its tables.
import { createRequire } from "node:module";
import { join } from "node:path";
import { readFileSync } from "node:fs";

const [engines, folder] = process.argv.slice(2);
const { Session } = createRequire(join(engines, "index.js"))("chdb");
const session = new Session(folder);
const answers = JSON.parse(readFileSync(0, "utf8")).map((text) => {
  const out = session.query(text, "JSONEachRow") ?? "";
  return out.split("\n").filter((line) => line).map((line) => JSON.parse(line));
});
process.stdout.write(JSON.stringify(answers));
