import { Link } from 'react-router'

export function Cancel() {
  return (
    <p>
      <Link to="/account">Back to your account</Link>
    </p>
  )
}
