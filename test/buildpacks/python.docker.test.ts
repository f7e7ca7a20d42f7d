import { describe, expect, it } from 'vitest';
import { fixture, readApp, readSbom, useBuilder, visit } from './app-build.ts';

const builder = useBuilder();

describe('a Python app', () => {
  it('with requirements.txt runs behind gunicorn on a Python that the run image does not have', async () => {
    const image = await builder().build('flask', await fixture(builder(), 'python-flask'));
    await visit(image, async (app) => {
      expect(await app.get('/')).toMatchObject({ status: 200, body: 'flask in /layers/forge_python/venv' });
      const stopped = await app.stop();
      expect(stopped.status).toBe(0);
      expect(stopped.ms).toBeLessThan(5000);
    });
    expect((await readSbom(image, 'forge_python')).map(({ purl }) => purl)).toContain('pkg:pypi/flask@3.1.0');
  });

  it('keeps its packages when only code changed, and gives the identical image when nothing did, even from nothing', async () => {
    const world = builder();
    const first = await world.build('flask-again', await fixture(world, 'python-flask'));
    const before = world.output().length;
    expect((await world.build('flask-again', await fixture(world, 'python-flask'))).digest).toBe(first.digest);
    expect(world.output().slice(before)).toContain('Dependencies are unchanged: kept from the last build');
    expect(world.output().slice(before)).not.toContain('Installing');
    expect((await world.build('flask-clean', await fixture(world, 'python-flask'))).digest).toBe(first.digest);
  });

  it('with uv.lock gets just what the lockfile says', async () => {
    const world = builder();
    const image = await world.build('locked', await fixture(world, 'python-uv'));
    await visit(image, async (app) => expect(await app.get('/')).toMatchObject({ body: 'hello from the lockfile' }));
    expect((await world.build('locked', await fixture(world, 'python-uv'))).digest).toBe(image.digest);
  });

  it('with pyproject.toml runs behind uvicorn', async () => {
    const image = await builder().build('fastapi', await fixture(builder(), 'python-fastapi'));
    await visit(image, async (app) => expect(await app.get('/')).toMatchObject({ body: '{"hello":"fast"}' }));
  });

  it("of Django's kind has its static files collected", async () => {
    const world = builder();
    const image = await world.build('django', await fixture(world, 'python-django'));
    await visit(image, async (app) => expect((await app.get('/admin/login/')).status).toBe(200));
    expect(world.output()).toContain("Collecting Django's static files");
    expect((await world.build('django', await fixture(world, 'python-django'))).digest).toBe(image.digest);
  });

  it('of the example folder answers', async () => {
    const image = await builder().build('python', await builder().source(await readApp('examples/python')));
    await visit(image, async (app) => expect((await app.get('/')).body).toMatch(/^Hello from Python 3\.\d+/));
  });
});

describe('a Python app that cannot be built', () => {
  it.each([
    ['asks for a Python that is not to be had', { 'requirements.txt': '', 'main.py': '', '.python-version': '3.6.1' }, 'Python "3.6.1" (.python-version) is not available: the builder has 3.'],
    ['needs a package that does not exist', { 'requirements.txt': 'flask==0.0.0.1\n', 'main.py': '' }, 'The dependencies could not be installed (exit status 1).'],
    ['is locked by Poetry', { 'pyproject.toml': '[tool.poetry]\nname = "a"\n', 'poetry.lock': '', 'main.py': '' }, "The dependencies are Poetry's"],
    ['has a lockfile that does not fit', { 'pyproject.toml': '[project]\nname = "a"\nversion = "1"\ndependencies = ["flask"]\n', 'uv.lock': 'version = 1\nrequires-python = ">=3.9"\n', 'main.py': '' }, 'The dependencies could not be installed'],
  ])('%s: says so', async (_, files, message) => {
    const world = builder();
    await expect(world.build('bad', await world.source(files))).rejects.toMatchObject({ code: 'failed' });
    expect(world.output()).toContain(message);
  });
});
