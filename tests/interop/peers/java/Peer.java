import java.io.BufferedInputStream;
import java.io.ByteArrayOutputStream;
import java.io.EOFException;
import java.io.FileInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.io.PrintStream;
import java.net.InetAddress;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.KeyStore;
import java.security.MessageDigest;
import java.security.Security;
import java.security.cert.Certificate;
import java.security.cert.CertificateFactory;
import java.security.cert.X509Certificate;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import javax.net.ssl.KeyManagerFactory;
import javax.net.ssl.SSLContext;
import javax.net.ssl.SSLParameters;
import javax.net.ssl.SSLPeerUnverifiedException;
import javax.net.ssl.SSLServerSocket;
import javax.net.ssl.SSLSocket;
import javax.net.ssl.TrustManagerFactory;

/**
 * JSSE as one end of an interop conversation: "Peer server|client FLAGS", as every peer program
 * here. Groups come in through the system property jdk.tls.namedGroups, automatic KeyUpdates
 * through the security property jdk.tls.keyLimits (both given on the command line).
 */
public final class Peer {
    private static final char[] PASSWORD = "interop".toCharArray();

    private final Map<String, String> flags = new HashMap<>();
    private final ByteArrayOutputStream log = new ByteArrayOutputStream();

    public static void main(String[] arguments) {
        try {
            if (arguments[0].equals("version")) {
                System.out.println(System.getProperty("java.runtime.version"));
                return;
            }
            Peer peer = new Peer(arguments);
            if (peer.flags.containsKey("update-keys")) {
                peer.updateKeysEveryRound();
            }
            peer.run(arguments[0].equals("server"));
        } catch (Exception error) {
            error.printStackTrace();
            String text = error.toString().replace("\\", "\\\\").replace("\"", "'");
            System.out.println("{\"error\": \"" + text.replaceAll("\\s+", " ") + "\"}");
            System.exit(1);
        }
    }

    private Peer(String[] arguments) {
        for (int at = 1; at + 1 < arguments.length; at += 2) {
            flags.put(arguments[at].substring(2), arguments[at + 1]);
        }
    }

    /**
     * JSSE has no call for a KeyUpdate; it sends them by itself, and only its debug log tells.
     * Past the limit for what it reads it sends one per record until the other end's new keys
     * come, so the limit lies in the last record of a round.
     */
    private void updateKeysEveryRound() {
        String limits = "AES/GCM/NoPadding KeyUpdate 1040000, ChaCha20-Poly1305 KeyUpdate 1040000";
        Security.setProperty("jdk.tls.keyLimits", limits);
        System.setProperty("javax.net.debug", "ssl,handshake");
        System.setErr(new PrintStream(log, true));
    }

    private int keyUpdates(String verb) {
        String text = log.toString();
        int count = 0;
        String line = verb + " KeyUpdate post-handshake message";
        for (int at = text.indexOf(line); at >= 0; at = text.indexOf(line, at + 1)) {
            count++;
        }
        return count;
    }

    private void run(boolean server) throws Exception {
        byte[] payload = Files.readAllBytes(Path.of(flags.get("payload")));
        SSLContext context = context();  // it keeps the sessions
        List<String> received = new ArrayList<>();
        String report = "";
        try (SSLServerSocket listener = server ? listen(context) : null) {
            for (int left = Integer.parseInt(flags.get("connections")); left > 0; left--) {
                report = converse(listener, context, payload, received);
            }
        }
        System.out.println(report);
    }

    private String converse(
            SSLServerSocket listener, SSLContext context, byte[] payload, List<String> received)
            throws Exception {
        boolean server = listener != null;
        try (SSLSocket socket = server ? (SSLSocket) listener.accept() : connect(context)) {
            socket.setSoTimeout(25_000);
            socket.startHandshake();
            InputStream in = new BufferedInputStream(socket.getInputStream(), 1 << 16);
            OutputStream out = socket.getOutputStream();
            for (int round = 0; round < Integer.parseInt(flags.get("rounds")); round++) {
                received.add(server ? echo(in, out, payload.length) : send(in, out, payload));
            }
            String report = describe(socket, received);
            socket.shutdownOutput();
            return report;
        }
    }

    private SSLServerSocket listen(SSLContext context) throws Exception {
        var address = InetAddress.getByName("127.0.0.1");
        var factory = context.getServerSocketFactory();
        var listener = (SSLServerSocket) factory.createServerSocket(0, 1, address);
        listener.setSSLParameters(configure(listener.getSSLParameters()));
        System.out.println("{\"port\": " + listener.getLocalPort() + "}");
        return listener;
    }

    private SSLSocket connect(SSLContext context) throws Exception {
        var raw = new java.net.Socket("127.0.0.1", Integer.parseInt(flags.get("port")));
        var factory = context.getSocketFactory();
        var socket = (SSLSocket) factory.createSocket(raw, "localhost", raw.getPort(), true);
        SSLParameters parameters = configure(socket.getSSLParameters());
        parameters.setEndpointIdentificationAlgorithm("HTTPS");
        socket.setSSLParameters(parameters);
        return socket;
    }

    private SSLParameters configure(SSLParameters parameters) {
        parameters.setProtocols(new String[] {flags.get("tls")});
        if (flags.containsKey("suites")) {
            parameters.setCipherSuites(flags.get("suites").split(","));
        }
        if (flags.containsKey("alpn")) {
            parameters.setApplicationProtocols(flags.get("alpn").split(","));
        }
        if (flags.containsKey("require-client-cert")) {
            parameters.setNeedClientAuth(true);
        }
        return parameters;
    }

    private SSLContext context() throws Exception {
        KeyStore trusted = KeyStore.getInstance("PKCS12");
        trusted.load(null, null);
        try (var in = new FileInputStream(flags.get("ca"))) {
            var ca = CertificateFactory.getInstance("X.509").generateCertificate(in);
            trusted.setCertificateEntry("ca", ca);
        }
        var trust = TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
        trust.init(trusted);
        KeyManagerFactory keys = null;
        if (flags.containsKey("pkcs12")) {
            KeyStore own = KeyStore.getInstance("PKCS12");
            try (var in = new FileInputStream(flags.get("pkcs12"))) {
                own.load(in, PASSWORD);
            }
            keys = KeyManagerFactory.getInstance(KeyManagerFactory.getDefaultAlgorithm());
            keys.init(own, PASSWORD);
        }
        SSLContext context = SSLContext.getInstance("TLS");
        context.init(keys == null ? null : keys.getKeyManagers(), trust.getTrustManagers(), null);
        return context;
    }

    private String send(InputStream in, OutputStream out, byte[] payload) throws Exception {
        if (http()) {
            String head = "POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: ";
            write(out, head + payload.length + "\r\n\r\n");
        }
        out.write(payload);
        out.flush();
        return digest(readExactly(in, http() ? contentLength(in) : payload.length));
    }

    private String echo(InputStream in, OutputStream out, int size) throws Exception {
        byte[] body = readExactly(in, http() ? contentLength(in) : size);
        if (http()) {
            write(out, "HTTP/1.1 200 OK\r\nContent-Length: " + body.length + "\r\n\r\n");
        }
        out.write(body);
        out.flush();
        return digest(body);
    }

    private boolean http() {
        return flags.get("style").equals("http");
    }

    private static void write(OutputStream out, String text) throws IOException {
        out.write(text.getBytes(StandardCharsets.ISO_8859_1));
    }

    private static int contentLength(InputStream in) throws IOException {
        var head = new ByteArrayOutputStream();
        while (!head.toString(StandardCharsets.ISO_8859_1).endsWith("\r\n\r\n")) {
            int octet = in.read();
            if (octet < 0) {
                throw new EOFException("within an HTTP head");
            }
            head.write(octet);
        }
        for (String line : head.toString(StandardCharsets.ISO_8859_1).split("\r\n")) {
            if (line.toLowerCase().startsWith("content-length:")) {
                return Integer.parseInt(line.substring(15).strip());
            }
        }
        throw new IOException("no Content-Length: " + head);
    }

    private static byte[] readExactly(InputStream in, int size) throws IOException {
        byte[] data = in.readNBytes(size);
        if (data.length < size) {
            throw new EOFException("after " + data.length + " of " + size + " bytes");
        }
        return data;
    }

    private String describe(SSLSocket socket, List<String> received) {
        var session = socket.getSession();
        var text = new StringBuilder("{\"received\": [");
        for (int at = 0; at < received.size(); at++) {
            text.append(at == 0 ? "\"" : ", \"").append(received.get(at)).append("\"");
        }
        text.append("], \"version\": \"").append(session.getProtocol());
        text.append("\", \"suite\": \"").append(session.getCipherSuite()).append("\"");
        String protocol = socket.getApplicationProtocol();
        if (protocol != null && !protocol.isEmpty()) {
            text.append(", \"alpn\": \"").append(protocol).append("\"");
        }
        try {
            Certificate[] chain = session.getPeerCertificates();
            String subject = ((X509Certificate) chain[0]).getSubjectX500Principal().getName();
            text.append(", \"peer_subject\": \"").append(subject.replace("CN=", "")).append("\"");
        } catch (SSLPeerUnverifiedException nobody) {
            // The peer showed no certificate.
        }
        if (flags.containsKey("update-keys")) {
            text.append(", \"key_updates_sent\": ").append(keyUpdates("Produced"));
        }
        return text.append("}").toString();
    }

    private static String digest(byte[] data) throws Exception {
        return HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(data));
    }
}
