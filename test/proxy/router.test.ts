import { describe, expect, test } from 'vitest';
import fc from 'fast-check';
import type { RouteTarget } from '../../src/domain.ts';
import { createRouter, hostName, hostPort } from '../../src/proxy/router.ts';

const target = (id: string): RouteTarget => ({ id, address: '10.0.0.1', port: 5000 });
const router = createRouter(
  {
    version: 3,
    controlHost: 'forge.example.com',
    controlSocket: '/control.sock',
    routes: [
      { host: 'shop.example.com', app: 'shop', targets: [target('web.1@v1'), target('web.2@v1')] },
      { host: 'new.example.com', app: 'new', targets: [] },
    ],
  },
  ({ id }) => id,
  'control',
);

describe('the router', () => {
  test.each(['shop.example.com', 'SHOP.Example.COM', 'shop.example.com:8080', 'shop.example.com.', 'shop.example.com.:80'])('finds %s', (host) => {
    expect(router.find(host)).toEqual({ app: 'shop', targets: ['web.1@v1', 'web.2@v1'] });
    expect(router.find(host)).toBe(router.find(host));
  });

  test('knows an app without targets, and the control host', () => {
    expect(router.find('new.example.com')).toEqual({ app: 'new', targets: [] });
    expect(router.find('forge.example.com')).toEqual({ app: undefined, targets: ['control'] });
  });

  test.each(['', 'example.com', 'x.shop.example.com', 'shop.example.com:', 'shop.example.com:http', 'shop.example.com/', 'a@shop.example.com', 'shop.example.com:80:80', ' shop.example.com', '__proto__', 'constructor'])(
    'does not find %j',
    (host) => expect(router.find(host)).toBeUndefined(),
  );

  test('a remembered spelling never changes what a host is', () => {
    fc.assert(fc.property(fc.array(fc.mixedCase(fc.constantFrom('shop.example.com', 'new.example.com', 'none.example.com'))), (hosts) => {
      for (const host of hosts) expect(router.find(host)?.app).toBe({ s: 'shop', n: 'new' }[host.toLowerCase().startsWith('none') ? '' : host[0]?.toLowerCase() ?? '']);
    }));
  });
});

test('hostName never gives anything but a bare lower-case host', () => {
  fc.assert(fc.property(fc.string(), (text) => {
    const name = hostName(text);
    if (name !== undefined) expect(name).toMatch(/^[a-z0-9_.:[\]-]+$/);
  }));
  expect(hostName(`${'a'.repeat(400)}.com`)).toBeUndefined();
  expect(hostName('[::1]:8080')).toBe('[::1]');
});

test('hostPort is that of the header, else 80', () => {
  expect([hostPort('a.test:8080'), hostPort('a.test'), hostPort('[::1]')]).toEqual(['8080', '80', '80']);
});
