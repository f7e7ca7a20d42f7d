/** An app with a web and a worker process that log what they do. Its web answers `/env` with its environment and cannot start with BROKEN set. */
import { appFolder } from './forge.ts';

const web = `
if (process.env.BROKEN) { console.error('the config is broken'); process.exit(5); }
console.log('began ' + process.env.DYNO + ' of ' + process.env.FORGE_RELEASE);
require('node:http').createServer((request, response) => {
  console.log('asked for ' + request.url);
  if (request.url === '/env') return response.end(JSON.stringify(process.env));
  response.end('hello from ' + process.env.DYNO);
}).listen(process.env.PORT);
process.on('SIGTERM', () => process.exit(0));
`;
const worker = `console.error('worker ' + process.env.DYNO + ' began'); setInterval(() => {}, 1000); process.on('SIGTERM', () => process.exit(0));`;

export const chattyApp = async (): Promise<string> =>
  await appFolder({
    Dockerfile: 'FROM forge-test/node:24\nWORKDIR /app\nCOPY . .\nCMD ["node", "server.js"]\n',
    'server.js': web,
    'worker.js': worker,
    Procfile: 'web: node server.js\nworker: node worker.js\n',
  });
