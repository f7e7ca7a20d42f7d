let jobs = 0;
const timer = setInterval(() => console.log(`job ${++jobs} done`), 5000);

process.on('SIGTERM', () => {
  console.log(`stopping after ${jobs} jobs`);
  clearInterval(timer);
});
