import { createReadStream } from 'node:fs';
import { createServer } from 'node:http';

const port = Number(process.env.PORT ?? 5000);

const server = createServer((request, response) => {
  if (request.url === '/health') return response.end('ok\n');
  if (request.url === '/') {
    response.setHeader('content-type', 'text/html; charset=utf-8');
    return createReadStream(new URL('public/index.html', import.meta.url)).pipe(response);
  }
  response.statusCode = 404;
  response.end('not found\n');
});

server.listen(port, () => console.log(`listening on ${port}, Node.js ${process.version}`));

// forge sends SIGTERM when a newer release has taken over: finish what is running, then leave.
process.on('SIGTERM', () => server.close(() => process.exit(0)));
