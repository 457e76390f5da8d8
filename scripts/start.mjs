// `node scripts/start.mjs [--only console|hub]`, the same as `npm start`: the console and the hub for real use.
import { main } from "./run.mjs";

await main("start", process.argv.slice(2));
