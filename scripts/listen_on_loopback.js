// Loaded into LocalStack's Kinesis (`node --require`), which would listen on all addresses of the machine.
const net = require('net');

const listen = net.Server.prototype.listen;
net.Server.prototype.listen = function (...options) {
  if (options[0] !== null && typeof options[0] === 'object') {
    options[0] = { ...options[0], host: '127.0.0.1' };
  } else if (typeof options[1] === 'string') {
    options[1] = '127.0.0.1';
  } else if (typeof options[0] === 'number') {
    options.splice(1, 0, '127.0.0.1');
  }
  return listen.apply(this, options);
};
