// A server of JSSE with the settings that the test expects: PORT KEYSTORE (PKCS #12, "secret").

import java.io.FileInputStream;
import java.net.InetAddress;
import java.security.KeyStore;
import javax.net.ssl.KeyManagerFactory;
import javax.net.ssl.SSLContext;
import javax.net.ssl.SSLServerSocket;
import javax.net.ssl.SSLSocket;

public class Server {
    public static void main(String[] arguments) throws Exception {
        char[] password = "secret".toCharArray();
        KeyStore store = KeyStore.getInstance("PKCS12");
        try (var in = new FileInputStream(arguments[1])) {
            store.load(in, password);
        }
        var keys = KeyManagerFactory.getInstance(KeyManagerFactory.getDefaultAlgorithm());
        keys.init(store, password);
        SSLContext context = SSLContext.getInstance("TLS");
        context.init(keys.getKeyManagers(), null, null);
        var address = InetAddress.getByName("127.0.0.1");
        int port = Integer.parseInt(arguments[0]);
        var factory = context.getServerSocketFactory();
        var listener = (SSLServerSocket) factory.createServerSocket(port, 50, address);
        listener.setEnabledProtocols(new String[] {"TLSv1.3", "TLSv1.2"});
        listener.setEnabledCipherSuites(
                new String[] {
                    "TLS_AES_256_GCM_SHA384", "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"
                });
        while (true) {
            var socket = (SSLSocket) listener.accept();
            new Thread(() -> serve(socket)).start();
        }
    }

    private static void serve(SSLSocket socket) {
        try (socket) {
            socket.setSoTimeout(5_000);
            socket.startHandshake();
            socket.getInputStream().read();
        } catch (Exception error) {
            // The scanner hangs up as soon as it knows enough.
        }
    }
}
