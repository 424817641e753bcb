/**
 * A child of the worker that computes nothing: says when its assignment came, in milliseconds since 1970, and ends as succeeded; a
 * pretraining with seed 1,000,000 or above trains for ever instead, and says so every 100 ms.
 */
const send = (message) => new Promise((resolve) => process.send(message, resolve))

process.on('disconnect', () => process.exit(1))
process.on('message', async (message) => {
  const receivedAtMs = Date.now()
  if (message.type !== 'assignment') process.exit(75)
  if (message.spec.kind === 'pretrain' && message.spec.seed >= 1_000_000) {
    let done = 0
    setInterval(() => send({ type: 'progress', done: ++done, total: 1_000_000, unit: 'images' }), 100)
    return
  }
  await send({ type: 'done', artifacts: [], results: [], summary: { receivedAtMs } })
  process.exit(0)
})
await send({ type: 'ready' })
