// Sends messages with node-hl7-client, an MLLP client that is not ours, and prints what it understood of the answers.
// Standard input: {host, port, tls: {ca, cert, key} | null, persistent: bool, messages: [ER7 text]}; files by path.
// Standard output: [[MSA-1, MSA-2], ...]. Status 1 when an answer is missing.
import { readFileSync } from 'node:fs'
import { Client, Message } from 'node-hl7-client'

const job = JSON.parse(readFileSync(0, 'utf-8'))
const options = { host: job.host }
if (job.tls) {
  options.tls = Object.fromEntries(Object.entries(job.tls).map(([name, path]) => [name, readFileSync(path)]))
}

function converse (messages) {
  return new Promise((resolve, reject) => {
    const answers = []
    const late = setTimeout(() => reject(new Error('an answer is missing')), 60_000)
    const outbound = new Client(options).createOutbound({ port: job.port, waitAck: true }, async (response) => {
      // Its parser takes CR for what divides segments; in HL7 each segment, the last one too, ends in it (2.5.1, 2.5.2).
      const message = new Message({ text: response.getMessage().toString().replace(/\r$/, '') })
      answers.push([message.get('MSA.1').toString(), message.get('MSA.2').toString()])
      if (answers.length < messages.length) {
        await outbound.sendMessage(new Message({ text: messages[answers.length] }))
      } else {
        clearTimeout(late)
        await outbound.close()
        resolve(answers)
      }
    })
    outbound.on('error', reject)
    outbound.on('client.connect', () => outbound.sendMessage(new Message({ text: messages[0] })))
  })
}

const answers = []
for (const messages of job.persistent ? [job.messages] : job.messages.map((one) => [one])) {
  answers.push(...await converse(messages))
}
console.log(JSON.stringify(answers))
process.exit(0)
